//! What a run and an idle operator write to the API server, as its audit log has it.

use std::collections::BTreeMap;
use std::time::Duration;

use devenv::audit;
use devenv::simulator::Endpoint;
use serde_json::json;

use super::servers;
use super::world::{World, until};

/// Writes so far in the namespace of this world, by what was written: what a test creates itself is left out.
async fn writes(w: &World) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for entry in audit::read(servers::plane().await.audit_log()).unwrap() {
        let object = &entry.object_ref;
        let ours = !matches!(
            (entry.verb.as_str(), object.resource.as_str()),
            ("create", "taranasyncs" | "taranaconnections" | "namespaces") | (_, "secrets")
        );
        if entry.is_write() && ours && object.namespace == w.namespace {
            *writes
                .entry(format!(
                    "{} {}/{}",
                    entry.verb, object.resource, object.subresource
                ))
                .or_default() += 1;
        }
    }
    writes
}

fn logins(w: &World) -> usize {
    let asked = w.tcs.requests();
    asked
        .iter()
        .filter(|seen| seen.endpoint == Endpoint::Regions)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_costs_eight_writes_at_most_and_an_idle_operator_none() {
    let mut w = World::new().await;
    w.ready().await;
    let before: usize = writes(&w).await.values().sum();
    w.run("first", json!({})).await;
    w.connection_when("default", "knows of the success", |c| {
        c.status.as_ref().is_some_and(|s| s.station_count.is_some())
    })
    .await;
    let (events, all) = (w.events("first").await, writes(&w).await);
    assert_eq!(
        events,
        ["Started", "RecordsSkipped", "Completed"],
        "the dearest kind of run"
    );
    let cost = all.values().sum::<usize>() - before;
    assert!(
        (4..=8).contains(&cost),
        "{cost} writes beside the {before} before: {all:#?}"
    );

    // The connection is tried again and again, each Secret is read again: nothing new, so nothing is written.
    w.stop_operator().await;
    w.start_operator_that_rechecks_every(Duration::from_millis(200));
    let looked = logins(&w);
    let quiet = writes(&w).await;
    until("the connection was tried three times", || async {
        (logins(&w) >= looked + 3).then_some(())
    })
    .await;
    assert_eq!(writes(&w).await, quiet);
}
