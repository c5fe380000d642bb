//! An API that refuses its best listing: the table is true all the same, and the operator says what it read.

use devenv::simulator::{Config as Tcs, Endpoint, Fault as Trouble, Rule};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::servers;
use super::truth::rows_of;
use super::world::{World, of, phase};

fn refuse(w: &World, endpoint: Endpoint, status: u16) {
    let trouble = Trouble::Status { status, body: None };
    w.tcs.script(vec![Rule::on(endpoint, trouble)]);
}

/// A reading's listing and proof, as the object and the log row tell it.
async fn assert_read(w: &World, sync: &TaranaSync, listing: &str, proof: &str) {
    let reading = sync.status.clone().unwrap().reading.unwrap();
    assert_eq!((&*reading.listing, &*reading.proof), (listing, proof));
    let row = w.log_row(sync).await;
    assert_eq!((&row["listing"], &row["proof"]), (&json!(listing), &json!(proof)));
}

async fn in_use(w: &World, listing: &str, replaces: bool) {
    w.connection_when("default", &format!("uses {listing}"), |c| {
        let status = c.status.clone().unwrap_or_default();
        status.listing.as_deref() == Some(listing) && status.listing_since.is_some() == replaces
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_listing_is_replaced_deletes_are_proven_and_a_restart_remembers() {
    let mut w = World::new().await;
    let first = w.run("first", json!({})).await;
    assert_read(&w, &first, "RegionSearch", "Total").await;
    in_use(&w, "RegionSearch", false).await;
    let before = w.table().await;

    refuse(&w, Endpoint::Search, 404);
    let same = w.run("same", json!({"deleteStale": true})).await;
    assert_eq!(phase(&same), Phase::Completed, "{:?}", of(&same, "Finished"));
    assert_read(&w, &same, "OperatorList", "TwoReadings").await;
    assert_eq!(w.table().await, before, "another listing, the same table");
    assert!(w.events("same").await.contains(&"ListingReplaced".to_owned()));
    in_use(&w, "OperatorList", true).await;

    w.stop_operator().await;
    let (gone, come) = (w.tcs.vanish(3), w.tcs.add(2));
    let asked = w.tcs.counters().of(Endpoint::Search);
    w.start_operator();
    let later = w.run("later", json!({"deleteStale": true})).await;
    assert_read(&w, &later, "OperatorList", "TwoReadings").await;
    let counts = later.status.clone().unwrap().counts.unwrap();
    assert_eq!((counts.deleted, counts.withheld), (3, 0));
    assert_eq!((rows_of(&w, &gone).await, rows_of(&w, &come).await), (0, 2));
    assert_eq!(w.tcs.counters().of(Endpoint::Search), asked, "it was remembered");
    assert!(!w.events("later").await.contains(&"ListingReplaced".to_owned()));

    w.tcs.clear();
    w.change_connection("default", json!({"api": {"pageSize": 900}}))
        .await;
    in_use(&w, "RegionSearch", false).await;
    let anew = w.run("anew", json!({})).await;
    assert_read(&w, &anew, "RegionSearch", "Total").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_500_that_persists_is_not_waited_for_beyond_the_attempts() {
    let w = World::new().await;
    refuse(&w, Endpoint::Search, 500);
    let quickly = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
    let run = w.run("run", quickly).await;
    assert_eq!(phase(&run), Phase::Completed, "{:?}", of(&run, "Finished"));
    assert_eq!(run.status.clone().unwrap().attempt, 3);
    assert_read(&w, &run, "OperatorList", "TwoReadings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proven_complete_deletes_nothing() {
    let w = World::with(Tcs {
        honour_sort: false,
        ..servers::tcs()
    })
    .await;
    w.run("first", json!({})).await;
    let gone = w.tcs.vanish(3);
    w.change_connection("default", json!({"api": {"listing": "RadioSearch"}}))
        .await;
    in_use(&w, "RadioSearch", false).await;
    for dry_run in [true, false] {
        let name = if dry_run { "dry" } else { "wet" };
        let spec = json!({"deleteStale": true, "approvedDeletes": 1000, "dryRun": dry_run});
        let run = w.run(name, spec).await;
        assert_eq!(phase(&run), Phase::Completed, "{:?}", of(&run, "Finished"));
        assert_read(&w, &run, "RadioSearch", "None").await;
        let (status, reason, message) = of(&run, "DeletesWithheld");
        assert_eq!((&*status, &*reason), ("True", "DeletesWithheld"));
        assert!(
            message.contains("RadioSearch could not be proven complete"),
            "{message}"
        );
        assert!(w.events(name).await.contains(&"DeletesWithheld".to_owned()));
        assert_eq!(run.status.clone().unwrap().counts.unwrap().withheld, 3);
        assert_eq!(rows_of(&w, &gone).await, 3);
    }
}
