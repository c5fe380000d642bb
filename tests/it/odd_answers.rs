//! What the vendor says oddly, and what of it reaches the table.

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::truth;
use super::world::{World, of, phase};

fn search(fault: Fault) -> Rule {
    Rule::on(Endpoint::Search, fault)
}

async fn row(w: &World, serial: &str) -> Value {
    sqlx::query_scalar("select to_jsonb(t) from tarana_base_stations t where serial_number = $1")
        .bind(serial)
        .fetch_one(&w.db)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_region_of_several_that_is_refused_stops_the_run_and_deletes_nothing() {
    let w = World::new().await;
    assert_eq!(phase(&w.run("first", json!({})).await), Phase::Completed);
    let before = w.table().await;
    w.tcs.drift(0.1);
    let refusal = Fault::Status {
        status: 403,
        body: Some("RBAC: access denied".into()),
    };
    w.tcs.script(vec![search(refusal).region(1074)]);
    let spec = json!({"deleteStale": true, "approvedDeletes": 1000});
    let failed = w.run("refused", spec.clone()).await;
    let (_, reason, message) = of(&failed, "Finished");
    assert_eq!((phase(&failed), reason.as_str()), (Phase::Failed, "AccessDenied"));
    assert!(message.contains("1074"), "{message}");
    assert_eq!(w.table().await, before, "nothing written, nothing deleted");
    let changes = "select count(*) from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run where l.name = 'refused'";
    assert_eq!(w.number(changes).await, 0);

    // Left out, it is no longer in the way; what stands in the table of it stays, whatever may be deleted.
    w.change_connection("default", json!({"api": {"excludeRegionIds": [1074]}}))
        .await;
    let theirs = "select count(*) from tarana_base_stations where region_id = 1074";
    let kept = w.number(theirs).await;
    assert!(kept > 0);
    assert_eq!(phase(&w.run("without", spec).await), Phase::Completed);
    assert_eq!(w.number(theirs).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_column_holds_leaves_the_row_as_it_was() {
    let w = World::new().await;
    assert_eq!(phase(&w.run("first", json!({})).await), Phase::Completed);
    let nodes = w.tcs.base_nodes();
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
        before.push(row(&w, serial).await);
    }
    let spoil: [fn(&mut Value); 7] = [
        |d| d["hostName"] = json!("a\u{0}b"),
        |d| d["ancestry"]["site"]["name"] = json!("\u{0}"),
        |d| d["ancestry"]["site"]["id"] = json!(4_294_967_296_u64),
        |d| d["installParams"]["height"] = json!(1e9),
        |d| d["installParams"]["antennaAzimuth"] = json!(1e6),
        |d| d["installParams"]["latitude"] = json!("-26.1"),
        |d| d["installParams"]["longitude"] = json!(181),
    ];
    for (serial, spoil) in usable.iter().zip(spoil) {
        assert!(w.tcs.edit(serial, spoil));
    }
    let ended = w
        .run("odd", json!({"deleteStale": true, "approvedDeletes": 1000}))
        .await;
    assert_eq!(phase(&ended), Phase::Completed, "{:?}", of(&ended, "Finished"));
    for (serial, before) in usable.iter().zip(before) {
        assert_eq!(row(&w, serial).await, before, "{serial}");
    }
    let counts = ended.status.unwrap().counts.unwrap();
    assert_eq!((counts.updated, counts.deleted), (0, 0));

    // Numbers as text are ids and names all the same.
    let serial = &usable[0];
    w.tcs.edit(serial, |d| {
        d["hostName"] = json!(4711);
        d["ancestry"]["site"]["id"] = json!("77");
    });
    assert_eq!(phase(&w.run("text", json!({})).await), Phase::Completed);
    let now = row(&w, serial).await;
    assert_eq!((&now["hostname"], &now["site_id"]), (&json!("4711"), &json!(77)));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_leave_the_table_alone() {
    let w = World::new().await;
    assert_eq!(phase(&w.run("first", json!({})).await), Phase::Completed);
    let before = w.table().await;
    w.tcs.drift(0.1);
    let spec = json!({"deleteStale": true, "approvedDeletes": 1000, "backoffLimit": 0});
    for (n, (fault, reason)) in [
        (Fault::Redirect { to: None }, "ApiChanged"),
        (Fault::Html, "ApiChanged"),
        (Fault::Gzip, "ApiChanged"),
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
        w.change_connection("default", json!({"api": {"pageSize": 50}}))
            .await;
        w.tcs.script(vec![search(fault.clone())]);
        let failed = w.run(&format!("run-{n}"), spec.clone()).await;
        assert_eq!(
            (phase(&failed), of(&failed, "Finished").1.as_str()),
            (Phase::Failed, reason),
            "{fault:?}"
        );
        assert_eq!(w.table().await, before, "{fault:?}");
    }
    // A byte-order mark, and pages that become smaller half-way, are no trouble.
    w.tcs.script(vec![
        search(Fault::ByteOrderMark),
        search(Fault::ShortPage { items: 7 }).after(4),
    ]);
    assert_eq!(phase(&w.run("odd", spec).await), Phase::Completed);
    truth::table_is_true(&w).await;
}
