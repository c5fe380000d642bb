//! Schedules on a real API server. A schedule gets the status of one that has been active for months, so that a slot is due
//! at once and no test waits for the clock.

use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::{Phase, TaranaSync, TriggerType};
use tarana_operator::schedule::Cron;

use super::environment::{TestEnvironment, condition, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::servers;

mod crash;
mod rejections;

/// Monthly, so that no slot becomes due during a test.
const MONTHLY: &str = "0 0 1 * *";

fn schedules(env: &TestEnvironment) -> Api<TaranaSyncSchedule> {
    Api::namespaced(env.client.clone(), &env.namespace)
}

async fn get(env: &TestEnvironment, name: &str) -> TaranaSyncSchedule {
    schedules(env).get(name).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "slots are about the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn monthly() -> Cron {
    Cron::parse(MONTHLY, "Etc/UTC").unwrap()
}

/// The newest slot of a monthly schedule.
fn newest() -> Timestamp {
    monthly().newest_until(now()).unwrap()
}

fn slot_name(name: &str, slot: Timestamp) -> String {
    format!("{name}-{}", slot.as_second() / 60)
}

/// Creates a schedule. `changes` are merged into its spec.
async fn create(env: &TestEnvironment, name: &str, changes: Value) -> TaranaSyncSchedule {
    let mut spec = json!({"schedule": MONTHLY, "startingDeadlineSeconds": 31_536_000});
    servers::merge(&mut spec, changes);
    let object = json!({
        "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": name}, "spec": spec,
    });
    let object = serde_json::from_value(object).unwrap();
    schedules(env)
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
}

/// Sets the status so that this many slots are due.
async fn backdate(env: &TestEnvironment, name: &str, slots: usize) {
    let moment = SignedDuration::from_secs(1);
    let before = |t: &Timestamp| monthly().newest_until(*t).map(|slot| slot - moment);
    let since = std::iter::successors(Some(now()), before).nth(slots).unwrap();
    let schedule = get(env, name).await;
    let status = json!({"status": {
        "observedSchedule": format!("{} {}", schedule.spec.schedule, schedule.spec.time_zone),
        "notBefore": since.to_string(),
        "consecutiveFailures": 0, "conditions": [],
    }});
    schedules(env)
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
}

/// Creates a schedule with two slots that are due.
async fn create_due(env: &TestEnvironment, name: &str, changes: Value) {
    create(env, name, changes).await;
    backdate(env, name, 2).await;
}

async fn wait_for_schedule(
    env: &TestEnvironment,
    name: &str,
    what: &str,
    is_so: impl Fn(&TaranaSyncSchedule) -> bool,
) -> TaranaSyncSchedule {
    wait_until(&format!("schedule {name} {what}"), || async {
        Some(get(env, name).await).filter(|s| is_so(s))
    })
    .await
}

/// The reason of the condition Ready.
fn reason(schedule: &TaranaSyncSchedule) -> String {
    condition(&schedule.status.clone().unwrap_or_default().conditions, "Ready").1
}

/// Waits for an Event with this reason and returns all Events. They are published after the status.
async fn events_with(env: &TestEnvironment, name: &str, reason: &str) -> Vec<String> {
    wait_until(&format!("an Event {reason} about {name}"), || async {
        Some(env.events(name).await).filter(|reasons| reasons.iter().any(|r| r == reason))
    })
    .await
}

/// Requests a run with the annotation.
async fn trigger(env: &TestEnvironment, name: &str, value: &str) {
    let annotation = json!({"metadata": {"annotations": {"tarana.dev/trigger-requested-at": value}}});
    schedules(env)
        .patch(name, &PatchParams::default(), &Patch::Merge(&annotation))
        .await
        .unwrap();
}

async fn runs(env: &TestEnvironment) -> Vec<TaranaSync> {
    env.syncs().list(&ListParams::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_slot_creates_a_run_with_trigger_cron() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    let template = json!({"metadata": {"labels": {"team": "coverage"}, "annotations": {"why": "nightly"}}, "spec": {"deleteStale": true}});
    create_due(&env, "monthly", json!({"template": template})).await;
    let slot = newest();
    env.start_operator();
    let run = env.finished(&slot_name("monthly", slot)).await;
    assert_eq!(phase(&run), Phase::Completed);
    assert_eq!(run.spec.trigger.type_, TriggerType::Schedule);
    assert_eq!(run.spec.trigger.scheduled_time.as_ref().unwrap().0, slot);
    assert!(run.spec.delete_stale);
    assert_eq!(
        (
            run.labels()["team"].as_str(),
            run.labels()["tarana.dev/schedule"].as_str()
        ),
        ("coverage", "monthly")
    );
    assert_eq!(run.annotations()["why"], "nightly");
    let owner = &run.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str()),
        ("TaranaSyncSchedule", "monthly")
    );
    assert_eq!(
        (owner.controller, owner.block_owner_deletion),
        (Some(true), Some(true))
    );
    assert_eq!(env.log_row(&run).await["trigger_type"], "cron");

    assert_schedule_status(&env, &run, slot).await;
    // No further run is created, not even after a restart.
    env.stop_operator().await;
    env.start_operator();
    env.ready().await;
    env.run("after", json!({})).await;
    assert_eq!(runs(&env).await.len(), 2);
    let columns = servers::plane()
        .await
        .kubectl()
        .run(&["get", "tss", "-n", &env.namespace])
        .await
        .unwrap();
    assert!(
        columns.starts_with("NAME      SCHEDULE    READY   REASON      NEXT"),
        "{columns}"
    );
}

/// The status after the run of the first slot has ended. The slot before it was missed.
async fn assert_schedule_status(env: &TestEnvironment, run: &TaranaSync, slot: Timestamp) {
    let schedule = wait_for_schedule(env, "monthly", "records the end", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_sync.is_some() && s.active.is_empty())
    })
    .await;
    let status = schedule.status.unwrap();
    assert_eq!(status.last_schedule_time.unwrap().0, slot);
    assert_eq!(status.next_schedule_time.map(|t| t.0), monthly().next_after(slot));
    assert_eq!(
        status.last_successful_time.map(|t| t.0),
        run.status.clone().unwrap().completion_time.map(|t| t.0)
    );
    assert_eq!(status.last_skipped.unwrap().reason, "SlotMissed");
    assert_eq!(condition(&status.conditions, "Ready").1, "Scheduled");
    assert_eq!(condition(&status.conditions, "LastSyncSucceeded").0, "True");
    assert_eq!(
        events_with(env, "monthly", "SlotMissed").await,
        ["RunCreated", "SlotMissed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_create_one_run_per_slot() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let (_first, _second) = (
        OperatorProcess::start_and_wait(&env, "first").await,
        OperatorProcess::start_and_wait(&env, "second").await,
    );
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for name in &names {
        create(&env, name, json!({})).await;
    }
    for name in &names {
        wait_for_schedule(&env, name, "is reconciled", |s| s.status.is_some()).await;
    }
    // Both operators see the slot at the same time.
    for name in &names {
        backdate(&env, name, 1).await;
    }
    let slot = newest();
    for name in &names {
        let schedule = wait_for_schedule(&env, name, "has recorded its slot", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.last_schedule_time.as_ref().is_some_and(|t| t.0 >= slot))
        })
        .await;
        assert_eq!(schedule.status.unwrap().active, [slot_name(name, slot)]);
    }
    let mut created: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
    let mut expected: Vec<String> = names.iter().map(|name| slot_name(name, slot)).collect();
    created.sort();
    expected.sort();
    assert_eq!(created, expected);
}

/// Creates a suspended schedule and triggers a run, which hangs.
async fn trigger_while_suspended(env: &TestEnvironment, name: &str, policy: &str) {
    create(env, name, json!({"concurrencyPolicy": policy, "suspend": true})).await;
    let suspended = wait_for_schedule(env, name, "is suspended", |s| reason(s) == "Suspended").await;
    assert_eq!(suspended.status.unwrap().next_schedule_time, None);
    trigger(env, name, "now").await;
    let triggered = wait_for_schedule(env, name, "has created its run", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_handled_trigger.as_deref() == Some("now") && s.active.len() == 1)
    })
    .await;
    let run = env
        .syncs()
        .get(&triggered.status.unwrap().active[0])
        .await
        .unwrap();
    assert_eq!(run.spec.trigger.type_, TriggerType::Manual);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_policies_apply_to_slots_but_not_to_manual_triggers() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.start_operator();
    env.ready().await;
    for (name, policy) in [("forbids", "Forbid"), ("replaces", "Replace")] {
        trigger_while_suspended(&env, name, policy).await;
        let resume = json!({"spec": {"suspend": false}});
        schedules(&env)
            .patch(name, &PatchParams::default(), &Patch::Merge(&resume))
            .await
            .unwrap();
        wait_for_schedule(&env, name, "is resumed", |s| reason(s) == "Scheduled").await;
        assert_eq!(
            runs(&env)
                .await
                .iter()
                .filter(|r| r.name_any().starts_with(name))
                .count(),
            1,
            "a slot of the suspension started a run"
        );
        backdate(&env, name, 1).await;
    }
    let slot = newest();
    let skipped = wait_for_schedule(&env, "forbids", "skips", |s| {
        s.status.as_ref().is_some_and(|s| s.last_skipped.is_some())
    })
    .await;
    assert_eq!(
        skipped.status.unwrap().last_skipped.unwrap().reason,
        "SlotSkipped"
    );
    events_with(&env, "forbids", "SlotSkipped").await;
    let replaced = wait_for_schedule(&env, "replaces", "replaces", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.active == [slot_name("replaces", slot)])
    })
    .await;
    let last = replaced.status.unwrap().last_sync.unwrap();
    assert_eq!(
        (last.phase, last.name.starts_with("replaces-t")),
        (Phase::Cancelled, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_limits_keep_the_newest_runs() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.start_operator();
    env.ready().await;
    create(
        &env,
        "s",
        json!({"successfulSyncsHistoryLimit": 0, "failedSyncsHistoryLimit": 1}),
    )
    .await;
    let trigger_and_wait = async |value: String| {
        trigger(&env, "s", &value).await;
        let schedule = wait_for_schedule(&env, "s", "has finished the run", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.last_handled_trigger.as_ref() == Some(&value) && s.active.is_empty())
        })
        .await;
        schedule.status.unwrap()
    };
    wait_for_schedule(&env, "s", "is reconciled", |s| s.status.is_some()).await;
    trigger_and_wait("1".into()).await;
    let succeeded = trigger_and_wait("2".into()).await;
    env.tcs.set_rules(vec![servers::html_search()]);
    trigger_and_wait("3".into()).await;
    let failed = trigger_and_wait("4".into()).await;
    assert_eq!(
        (succeeded.consecutive_failures, failed.consecutive_failures),
        (0, 2)
    );
    assert_eq!(failed.last_successful_time, succeeded.last_successful_time);
    assert_eq!(condition(&failed.conditions, "LastSyncSucceeded").0, "False");
    let kept = [succeeded.last_sync.unwrap().name, failed.last_sync.unwrap().name];
    wait_until("only the newest run of each result is left", || async {
        let remaining: Vec<String> = runs(&env).await.iter().map(ResourceExt::name_any).collect();
        (remaining.len() == 2 && kept.iter().all(|name| remaining.contains(name))).then_some(())
    })
    .await;
    assert_eq!(env.number("select count(*) from tarana_sync_logs").await, 4);
}
