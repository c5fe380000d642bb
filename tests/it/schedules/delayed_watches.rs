//! Operators whose watch events arrive seconds late.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;
use tarana_operator::api::schedule::SlotOutcome;
use tarana_operator::api::sync::Phase;

use super::{backdate, create, create_slot_run, newest, outcomes, runs, slot_name, wait_for_schedule};
use crate::environment::{phase, wait_until};
use crate::operator_process::OperatorProcess;
use crate::proxied::Proxied;
use crate::servers;

const DELAY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_watch_neither_replaces_the_new_run_nor_starts_a_slot_twice() {
    test_replacement(false).await;
}

/// The same beside an operator that sees everything at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_watch_beside_another_operator_neither_replaces_nor_starts_twice() {
    test_replacement(true).await;
}

/// The slot's run replaces the active one. Nobody cancels or creates it again, whoever learns late of what happened.
async fn test_replacement(has_rival: bool) {
    let proxied = Proxied::new(servers::tcs()).await;
    proxied.api.delay_watches(DELAY);
    let env = &proxied.env;
    // The runs hang until they are replaced.
    env.tcs.set_rules(vec![servers::hanging_search()]);
    proxied.connect(json!({})).await;
    let schedule = create(env, "s", json!({"concurrencyPolicy": "Replace"})).await;
    create_slot_run(env, &schedule, "s-before").await;
    let _delayed = proxied.operator("delayed", &[]);
    let rival = if has_rival {
        Some(OperatorProcess::start(env, "rival"))
    } else {
        None
    };
    env.wait_for_sync("s-before", "is running", |s| phase(s) == Phase::Running)
        .await;
    backdate(env, "s", 1).await;
    let name = slot_name("s", newest());
    env.wait_for_sync(&name, "is running", |s| phase(s) == Phase::Running)
        .await;
    // The delayed operator takes over what the other one has begun.
    drop(rival);
    wait_until_everything_was_seen(&proxied).await;

    // Each watch has delivered all that happened to the run until now.
    env.tcs.set_rules(Vec::new());
    let run = env.finished(&name).await;
    assert_eq!(phase(&run), Phase::Completed, "has_rival: {has_rival}");
    assert!(!run.spec.cancel);
    let replaced = env.finished("s-before").await;
    assert_eq!(phase(&replaced), Phase::Cancelled);
    let status = wait_for_schedule(env, "s", "has recorded the end", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_sync.as_ref().is_some_and(|last| last.name == name))
    })
    .await
    .status
    .unwrap();
    assert_eq!(outcomes(&status), [SlotOutcome::Ran]);
    let names: Vec<String> = runs(env).await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names.iter().filter(|other| **other == name).count(), 1);
    assert_eq!(names.len(), 4, "{names:?}");
}

/// Waits until the delayed operator has reacted to a later object of each kind: watch events arrive in order.
async fn wait_until_everything_was_seen(proxied: &Proxied) {
    let env = &proxied.env;
    let missing = json!({"connectionRef": {"name": "missing"}});
    for name in ["later", "latest"] {
        create(env, name, json!({"template": {"spec": missing}})).await;
        env.sync(name, missing.clone()).await;
        wait_until("the delayed operator writes both objects", || async {
            let writes = proxied.interceptor.recorded();
            let wrote = |kind: &str| {
                writes
                    .iter()
                    .any(|write| write.contains(&format!("{kind}/{name}/status")))
            };
            (wrote("taranasyncschedules") && wrote("taranasyncs")).then_some(())
        })
        .await;
    }
}
