//! Schedules on a real API server. A schedule gets the status of one that has been active for months, so that a slot is due
//! at once and no test waits for the clock.

use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use tarana_operator::api::schedule::{SlotOutcome, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use tarana_operator::api::sync::{Phase, TaranaSync, TriggerType};
use tarana_operator::cron::Cron;

use super::environment::{TestEnvironment, condition, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::servers;

mod cascades;
mod delayed_watches;
mod disruptions;
mod refusals;
mod rejections;
mod replacements;
mod triggers;

/// Monthly, so that no slot becomes due during a test.
const MONTHLY: &str = "0 0 1 * *";

/// A value of the trigger annotation after the creation of any schedule.
const REQUEST: &str = "2099-01-01T00:00:00Z";

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
pub async fn create(env: &TestEnvironment, name: &str, changes: Value) -> TaranaSyncSchedule {
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
pub async fn backdate(env: &TestEnvironment, name: &str, slots: usize) {
    let moment = SignedDuration::from_secs(1);
    let before = |t: &Timestamp| monthly().newest_until(*t).map(|slot| slot - moment);
    let since = std::iter::successors(Some(now()), before).nth(slots).unwrap();
    let schedule = get(env, name).await;
    let status = json!({"status": {
        "observedUid": schedule.metadata.uid,
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
pub async fn create_due(env: &TestEnvironment, name: &str, changes: Value) {
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

/// The outcomes of the slot history, newest first.
fn outcomes(status: &TaranaSyncScheduleStatus) -> Vec<SlotOutcome> {
    status.recent_slots.iter().map(|record| record.outcome).collect()
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
    assert_eq!(outcomes(&status), [SlotOutcome::Ran, SlotOutcome::Missed]);
    assert_eq!(status.recent_slots[0].sync, Some(run.name_any()));
    assert_eq!(status.last_schedule_time.unwrap().0, slot);
    assert_eq!(status.next_schedule_time.map(|t| t.0), monthly().next_after(slot));
    assert_eq!(
        status.last_successful_time.map(|t| t.0),
        run.status.clone().unwrap().completion_time.map(|t| t.0)
    );
    assert_eq!(condition(&status.conditions, "Ready").1, "Scheduled");
    assert_eq!(condition(&status.conditions, "LastSyncSucceeded").0, "True");
    assert_eq!(
        events_with(env, "monthly", "RunCreated").await,
        ["SlotMissed", "RunCreated"]
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

/// Creates a suspended schedule and triggers a run, which hangs. Returns the name of the run.
async fn trigger_while_suspended(env: &TestEnvironment, name: &str, policy: &str) -> String {
    let spec = json!({"concurrencyPolicy": policy, "suspend": true, "suspendReason": "maintenance"});
    create(env, name, spec).await;
    let suspended = wait_for_schedule(env, name, "is suspended", |s| reason(s) == "Suspended").await;
    assert_eq!(suspended.status.unwrap().next_schedule_time, None);
    let wide = ["get", "tss", name, "-n", &env.namespace, "-o", "wide"];
    let columns = servers::plane().await.kubectl().run(&wide).await.unwrap();
    assert!(
        columns.contains("SUSPEND REASON") && columns.contains(" maintenance "),
        "{columns}"
    );
    trigger(env, name, REQUEST).await;
    let triggered = wait_for_schedule(env, name, "has created its run", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_handled_trigger.as_deref() == Some(REQUEST) && s.active.len() == 1)
    })
    .await;
    let name = triggered.status.unwrap().active.remove(0);
    let run = env.syncs().get(&name).await.unwrap();
    assert_eq!(run.spec.trigger.type_, TriggerType::Manual);
    name
}

/// An active run of a slot of the schedule, before those of `newest()`.
pub async fn create_slot_run(env: &TestEnvironment, schedule: &TaranaSyncSchedule, name: &str) {
    let owner = schedule.controller_owner_ref(&()).unwrap();
    let slot = newest() - SignedDuration::from_hours(24);
    let run = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {"trigger": {"type": "Schedule", "scheduledTime": slot.to_string()}}});
    let run = serde_json::from_value(run).unwrap();
    env.syncs().create(&PostParams::default(), &run).await.unwrap();
}

/// The newest slot of the schedule `forbids` was skipped. `kubectl describe` shows why, and which run was still active.
async fn assert_describe_names_the_active_run(
    env: &TestEnvironment,
    status: TaranaSyncScheduleStatus,
    slot: Timestamp,
) {
    assert_eq!(status.recent_slots[0].reason, "RunActive");
    assert_eq!(status.recent_slots[0].sync.as_deref(), Some("forbids-before"));
    let described = servers::plane()
        .await
        .kubectl()
        .run(&["describe", "tss", "forbids", "-n", &env.namespace])
        .await
        .unwrap();
    let words: Vec<&str> = described.split_whitespace().collect();
    let (time, sync) = (slot.to_string(), "forbids-before");
    let expected = [
        "Outcome:",
        "Skipped",
        "Reason:",
        "RunActive",
        "Sync:",
        sync,
        "Time:",
        &time,
    ];
    assert!(words.windows(8).any(|w| w == expected), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_policies_apply_to_slots_but_not_to_manual_triggers() {
    let mut env = TestEnvironment::bare(servers::tcs()).await;
    env.create_secrets_and_connection().await;
    env.tcs.set_rules(vec![servers::hanging_search()]);
    env.start_operator();
    env.ready().await;
    let mut requested = Vec::new();
    for (name, policy) in [("forbids", "Forbid"), ("replaces", "Replace")] {
        requested.push(trigger_while_suspended(&env, name, policy).await);
        let resume = json!({"spec": {"suspend": false}});
        schedules(&env)
            .patch(name, &PatchParams::default(), &Patch::Merge(&resume))
            .await
            .unwrap();
        let resumed = wait_for_schedule(&env, name, "is resumed", |s| reason(s) == "Scheduled").await;
        let events = events_with(&env, name, "Resumed").await;
        assert_eq!(events, ["Suspended", "Triggered", "Resumed"]);
        assert_eq!(
            runs(&env)
                .await
                .iter()
                .filter(|r| r.name_any().starts_with(name))
                .count(),
            1,
            "a slot of the suspension started a run"
        );
        create_slot_run(&env, &resumed, &format!("{name}-before")).await;
        wait_for_schedule(&env, name, "sees the run of an earlier slot", |s| {
            s.status.as_ref().is_some_and(|s| s.active.len() == 2)
        })
        .await;
        backdate(&env, name, 1).await;
    }
    let slot = newest();
    let skipped = wait_for_schedule(&env, "forbids", "skips", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.recent_slots.first().is_some_and(|r| r.time.0 == slot))
    })
    .await;
    assert_describe_names_the_active_run(&env, skipped.status.unwrap(), slot).await;
    events_with(&env, "forbids", "SlotSkipped").await;
    let replaced = wait_for_schedule(&env, "replaces", "replaces", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.active.len() == 2 && s.active.contains(&slot_name("replaces", slot)))
    })
    .await;
    let last = replaced.status.unwrap().last_sync.unwrap();
    assert_eq!(
        (last.phase, last.name.as_str()),
        (Phase::Cancelled, "replaces-before")
    );
    for name in &requested {
        let run = env.syncs().get(name).await.unwrap();
        assert!(!run.spec.cancel && phase(&run) != Phase::Cancelled);
    }
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
        json!({
            "successfulSyncsHistoryLimit": 0,
            "failedSyncsHistoryLimit": 1,
            "template": {"spec": {"backoffLimit": 0}},
        }),
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
    let request = |second: u8| format!("2099-01-01T00:00:0{second}Z");
    trigger_and_wait(request(1)).await;
    let succeeded = trigger_and_wait(request(2)).await;
    env.tcs.set_rules(vec![servers::html_search()]);
    trigger_and_wait(request(3)).await;
    let failed = trigger_and_wait(request(4)).await;
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
