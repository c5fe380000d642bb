//! Schedules that are deleted and created again, or restored from a backup.

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tarana_operator::api::schedule::TaranaSyncScheduleStatus;

use super::{
    backdate, create, get, newest, now, outcomes, runs, schedules, slot_name, trigger, wait_for_schedule,
};
use crate::environment::{TestEnvironment, wait_until};
use crate::servers;

const EACH_MINUTE: &str = "* * * * *";

/// Deletes the schedule and waits until the garbage collector has deleted its runs.
async fn delete_with_runs(env: &TestEnvironment, name: &str) {
    schedules(env)
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
    wait_until("the schedule and its runs are deleted", || async {
        let exists = schedules(env).get_opt(name).await.unwrap().is_some();
        (!exists && runs(env).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_created_again_starts_no_slot_from_before() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    // The runs wait for a connection.
    env.start_operator();
    let spec = json!({"schedule": EACH_MINUTE});
    create(&env, "s", spec.clone()).await;
    let first = wait_for_schedule(&env, "s", "has started a slot", |s| {
        s.status.as_ref().is_some_and(|s| s.last_schedule_time.is_some())
    })
    .await;
    let first_slot = first.status.unwrap().last_schedule_time.unwrap().0;
    delete_with_runs(&env, "s").await;

    let second = create(&env, "s", spec).await;
    let created = second.metadata.creation_timestamp.unwrap().0;
    let started = wait_for_schedule(&env, "s", "has started a slot of its own", |s| {
        s.status.as_ref().is_some_and(|s| s.last_schedule_time.is_some())
    })
    .await;
    let status = started.status.unwrap();
    assert_eq!(status.observed_uid, second.metadata.uid);
    let slots: Vec<_> = status.recent_slots.iter().map(|r| r.time.0).collect();
    assert!(
        slots.iter().all(|slot| *slot > created && *slot > first_slot),
        "{slots:?}, created at {created} after the slot {first_slot}"
    );
    let names: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
    assert!(!names.contains(&slot_name("s", first_slot)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_status_starts_no_slot_and_no_request() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    create(&env, "s", json!({})).await;
    backdate(&env, "s", 2).await;
    let backup = get(&env, "s").await;
    delete_with_runs(&env, "s").await;
    // The tool restores the object, its annotations, and its status.
    create(&env, "s", json!({})).await;
    trigger(
        &env,
        "s",
        &(now() - jiff::SignedDuration::from_hours(1)).to_string(),
    )
    .await;
    let status = json!({"status": backup.status});
    schedules(&env)
        .patch_status("s", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    env.start_operator();
    let is_reconciled = |uid: &Option<String>, status: &TaranaSyncScheduleStatus| status.observed_uid == *uid;
    let restored = wait_for_schedule(&env, "s", "is reconciled", |s| {
        s.status
            .as_ref()
            .is_some_and(|status| is_reconciled(&s.metadata.uid, status))
    })
    .await;
    let status = restored.status.unwrap();
    assert!(status.not_before.unwrap().0 > newest());
    assert!(status.last_handled_trigger.is_some());
    assert!(outcomes(&get(&env, "s").await.status.unwrap()).is_empty());
    // What would be started is started by the same reconcile: it is over once a later schedule is reconciled.
    create(&env, "later", json!({})).await;
    wait_for_schedule(&env, "later", "is reconciled", |s| s.status.is_some()).await;
    assert!(runs(&env).await.is_empty());
}
