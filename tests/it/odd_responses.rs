//! Unusual responses of the vendor, and their effect on the table.

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, of, phase};
use super::expected_table;

fn search(fault: Fault) -> Rule {
    Rule::on(Endpoint::Search, fault)
}

async fn row(env: &TestEnvironment, serial: &str) -> Value {
    sqlx::query_scalar("select to_jsonb(t) from tarana_base_stations t where serial_number = $1")
        .bind(serial)
        .fetch_one(&env.db)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_region_fails_the_run_and_deletes_nothing() {
    let env = TestEnvironment::new().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    let before = env.table().await;
    env.tcs.drift(0.1);
    let rejection = Fault::Status {
        status: 403,
        body: Some("RBAC: access denied".into()),
    };
    env.tcs.set_rules(vec![search(rejection).region(1074)]);
    let spec = json!({"deleteStale": true, "approvedDeletes": 1000, "backoffLimit": 0});
    let failed = env.run("rejected", spec.clone()).await;
    let (_, reason, message) = of(&failed, "Finished");
    assert_eq!((phase(&failed), reason.as_str()), (Phase::Failed, "AccessDenied"));
    assert!(message.contains("1074"), "{message}");
    assert_eq!(env.table().await, before, "the table was changed");
    let changes = "select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'rejected'";
    assert_eq!(env.number(changes).await, 0);

    // An excluded region does not fail the run, and its rows are never deleted.
    env.change_connection("default", json!({"api": {"excludeRegionIds": [1074]}}))
        .await;
    let rows_of_region = "select count(*) from tarana_base_stations where region_id = 1074";
    let kept = env.number(rows_of_region).await;
    assert!(kept > 0);
    assert_eq!(phase(&env.run("without", spec).await), Phase::Completed);
    assert_eq!(env.number(rows_of_region).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn unstorable_values_leave_the_row_unchanged() {
    let env = TestEnvironment::new().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    let nodes = env.tcs.base_nodes();
    let usable: Vec<String> = nodes
        .iter()
        .filter(|node| {
            let value = node.value().unwrap();
            let place = &value["installParams"];
            place["latitude"].as_f64().is_some_and(|n| n != 0.0) && value["ancestry"]["site"].is_object()
        })
        .map(|node| node.serial.to_string())
        .take(7)
        .collect();
    let mut before = Vec::new();
    for serial in &usable {
        before.push(row(&env, serial).await);
    }
    let edits: [fn(&mut Value); 7] = [
        |d| d["hostName"] = json!("a\u{0}b"),
        |d| d["ancestry"]["site"]["name"] = json!("\u{0}"),
        |d| d["ancestry"]["site"]["id"] = json!(4_294_967_296_u64),
        |d| d["installParams"]["height"] = json!(1e9),
        |d| d["installParams"]["antennaAzimuth"] = json!(1e6),
        |d| d["installParams"]["latitude"] = json!("-26.1"),
        |d| d["installParams"]["longitude"] = json!(181),
    ];
    for (serial, edit) in usable.iter().zip(edits) {
        assert!(env.tcs.edit(serial, edit));
    }
    let ended = env
        .run("odd", json!({"deleteStale": true, "approvedDeletes": 1000}))
        .await;
    assert_eq!(phase(&ended), Phase::Completed, "{:?}", of(&ended, "Finished"));
    for (serial, before) in usable.iter().zip(before) {
        assert_eq!(row(&env, serial).await, before, "{serial}");
    }
    let counts = ended.status.unwrap().counts.unwrap();
    assert_eq!((counts.updated, counts.deleted), (0, 0));

    // Ids as text and names as numbers are converted.
    let serial = &usable[0];
    env.tcs.edit(serial, |d| {
        d["hostName"] = json!(4711);
        d["ancestry"]["site"]["id"] = json!("77");
    });
    assert_eq!(phase(&env.run("text", json!({})).await), Phase::Completed);
    let now = row(&env, serial).await;
    assert_eq!((&now["hostname"], &now["site_id"]), (&json!("4711"), &json!(77)));
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_responses_leave_the_table_unchanged() {
    let env = TestEnvironment::new().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    let before = env.table().await;
    env.tcs.drift(0.1);
    let spec = json!({"deleteStale": true, "approvedDeletes": 1000, "backoffLimit": 0});
    for (n, (fault, reason)) in [
        (Fault::Redirect { to: None }, "ApiChanged"),
        (Fault::Html, "ApiChanged"),
        (Fault::WrongTotal { by: 0, step: 1 }, "FetchIncomplete"),
        (
            Fault::RepeatRows {
                rows: 2,
                different: true,
            },
            "FetchIncomplete",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        env.change_connection("default", json!({"api": {"pageSize": 50}}))
            .await;
        env.tcs.set_rules(vec![search(fault.clone())]);
        let failed = env.run(&format!("run-{n}"), spec.clone()).await;
        assert_eq!(
            (phase(&failed), of(&failed, "Finished").1.as_str()),
            (Phase::Failed, reason),
            "{fault:?}"
        );
        assert_eq!(env.table().await, before, "{fault:?}");
    }
    // A byte-order mark, compression and shrinking pages are accepted.
    env.tcs.set_rules(vec![
        search(Fault::ByteOrderMark),
        search(Fault::Gzip),
        search(Fault::ShortPage { items: 7 }).after(4),
    ]);
    assert_eq!(phase(&env.run("odd", spec).await), Phase::Completed);
    expected_table::assert_table_matches_fleet(&env).await;
}
