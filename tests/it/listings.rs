//! An API that rejects its best listing: the operator reads and reports another one, and the table is correct.

use devenv::simulator::{Config as Tcs, Endpoint, Fault as SimulatorFault, Rule};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, of, phase};
use super::expected_table::count_rows_of;
use super::servers;

fn reject(env: &TestEnvironment, endpoint: Endpoint, status: u16) {
    let fault = SimulatorFault::Status { status, body: None };
    env.tcs.set_rules(vec![Rule::on(endpoint, fault)]);
}

/// Asserts listing and proof in the object and in the log row.
async fn assert_read(env: &TestEnvironment, sync: &TaranaSync, listing: &str, proof: &str) {
    let reading = sync.status.clone().unwrap().reading.unwrap();
    assert_eq!((&*reading.listing, &*reading.proof), (listing, proof));
    let row = env.log_row(sync).await;
    assert_eq!((&row["listing"], &row["proof"]), (&json!(listing), &json!(proof)));
}

async fn assert_listing(env: &TestEnvironment, listing: &str, replaces: bool) {
    env.wait_for_connection("default", &format!("uses {listing}"), |c| {
        let status = c.status.clone().unwrap_or_default();
        status.listing.as_deref() == Some(listing) && status.listing_since.is_some() == replaces
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_listing_is_replaced_and_stays_replaced_after_a_restart() {
    let mut env = TestEnvironment::new().await;
    let first = env.run("first", json!({})).await;
    assert_read(&env, &first, "RegionSearch", "Total").await;
    assert_listing(&env, "RegionSearch", false).await;
    let before = env.table().await;

    reject(&env, Endpoint::Search, 404);
    let same = env.run("same", json!({"deleteStale": true})).await;
    assert_eq!(phase(&same), Phase::Completed, "{:?}", of(&same, "Finished"));
    assert_read(&env, &same, "OperatorList", "TwoReadings").await;
    assert_eq!(env.table().await, before, "the other listing has the same data");
    assert!(env.events("same").await.contains(&"ListingReplaced".to_owned()));
    assert_listing(&env, "OperatorList", true).await;

    env.stop_operator().await;
    let (removed, added) = (env.tcs.vanish(3), env.tcs.add(2));
    let requests = env.tcs.counters().requests_to(Endpoint::Search);
    env.start_operator();
    let later = env.run("later", json!({"deleteStale": true})).await;
    assert_read(&env, &later, "OperatorList", "TwoReadings").await;
    let counts = later.status.clone().unwrap().counts.unwrap();
    assert_eq!((counts.deleted, counts.withheld), (3, 0));
    assert_eq!(
        (
            count_rows_of(&env, &removed).await,
            count_rows_of(&env, &added).await
        ),
        (0, 2)
    );
    assert_eq!(
        env.tcs.counters().requests_to(Endpoint::Search),
        requests,
        "the rejected listing was requested again"
    );
    assert!(!env.events("later").await.contains(&"ListingReplaced".to_owned()));

    env.tcs.clear_rules();
    env.change_connection("default", json!({"api": {"pageSize": 900}}))
        .await;
    assert_listing(&env, "RegionSearch", false).await;
    let anew = env.run("anew", json!({})).await;
    assert_read(&env, &anew, "RegionSearch", "Total").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_keeps_answering_500_is_replaced() {
    let env = TestEnvironment::new().await;
    reject(&env, Endpoint::Search, 500);
    let spec = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    let run = env.run("run", spec).await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", of(&run, "Finished"));
    assert_eq!(run.status.clone().unwrap().attempt, 3);
    assert_read(&env, &run, "OperatorList", "TwoReadings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unproven_listing_deletes_nothing() {
    let env = TestEnvironment::with(Tcs {
        honour_sort: false,
        ..servers::tcs()
    })
    .await;
    env.run("first", json!({})).await;
    let removed = env.tcs.vanish(3);
    env.change_connection("default", json!({"api": {"listing": "RadioSearch"}}))
        .await;
    assert_listing(&env, "RadioSearch", false).await;
    for dry_run in [true, false] {
        let name = if dry_run { "dry" } else { "applied" };
        let spec = json!({"deleteStale": true, "approvedDeletes": 1000, "dryRun": dry_run});
        let run = env.run(name, spec).await;
        assert_eq!(phase(&run), Phase::Completed, "{:?}", of(&run, "Finished"));
        assert_read(&env, &run, "RadioSearch", "None").await;
        let (status, reason, message) = of(&run, "DeletesWithheld");
        assert_eq!((&*status, &*reason), ("True", "DeletesWithheld"));
        assert!(
            message.contains("RadioSearch could not be proven complete"),
            "{message}"
        );
        assert!(env.events(name).await.contains(&"DeletesWithheld".to_owned()));
        assert_eq!(run.status.clone().unwrap().counts.unwrap().withheld, 3);
        assert_eq!(count_rows_of(&env, &removed).await, 3);
    }
}
