//! The writes of a run and of an idle operator to the API server, from its audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use devenv::audit;
use devenv::simulator::Endpoint;
use serde_json::json;

use super::environment::{TestEnvironment, wait_until};
use super::servers;

/// The operator's writes in the namespace so far, by verb and resource. Writes of the test itself are excluded.
async fn writes(env: &TestEnvironment) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for entry in audit::read(servers::plane().await.audit_log()).unwrap() {
        let object = &entry.object_ref;
        let is_operators = !matches!(
            (entry.verb.as_str(), object.resource.as_str()),
            ("create", "taranasyncs" | "taranaconnections" | "namespaces")
                | (_, "secrets" | "serviceaccounts")
        );
        if entry.is_write() && is_operators && object.namespace == env.namespace {
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

fn probes(env: &TestEnvironment) -> usize {
    let requests = env.tcs.requests();
    requests
        .iter()
        .filter(|request| request.endpoint == Endpoint::Regions)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_needs_at_most_eight_writes_and_an_idle_operator_none() {
    let mut env = TestEnvironment::new().await;
    env.ready().await;
    wait_until("the last write of the probe", || async {
        (env.events("default").await == ["Verified"]).then_some(())
    })
    .await;
    let before: usize = writes(&env).await.values().sum();
    let run = env.run("first", json!({})).await;
    env.wait_for_connection("default", "records the success", |c| {
        c.status.as_ref().is_some_and(|s| s.station_count.is_some())
    })
    .await;
    let (events, all) = (env.events("first").await, writes(&env).await);
    assert_eq!(
        events,
        ["Started", "RecordsSkipped", "Completed"],
        "the kind of run with the most writes"
    );
    let cost = all.values().sum::<usize>() - before;
    // On a slow machine, progress is written every two seconds.
    let progress = usize::try_from(run.status.unwrap().duration_ms.unwrap() / 2000).unwrap();
    assert!(
        (4..=8 + progress).contains(&cost),
        "{cost} writes after {before} before the run: {all:#?}"
    );

    // Every probe reads connection and Secrets. Without a change, nothing is written.
    env.stop_operator().await;
    env.start_operator_with_probe_interval(Duration::from_millis(200));
    let probes_before = probes(&env);
    let before = writes(&env).await;
    wait_until("the connection was probed three times", || async {
        (probes(&env) >= probes_before + 3).then_some(())
    })
    .await;
    assert_eq!(writes(&env).await, before);
}
