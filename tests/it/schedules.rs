//! Schedules on a real API server. Nobody waits for the clock here: a schedule is given the memory of one that has been at
//! it for a while, so that a slot is due at once.

use jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tarana_operator::api::schedule::TaranaSyncSchedule;
use tarana_operator::api::sync::{Phase, TaranaSync, TriggerType};
use tarana_operator::schedule::Cron;

use super::program::Program;
use super::servers;
use super::world::{World, condition, phase, until};

mod crash;
mod refusals;

/// Monthly, so that no slot comes while a test runs.
const MONTHLY: &str = "0 0 1 * *";

fn schedules(w: &World) -> Api<TaranaSyncSchedule> {
    Api::namespaced(w.client.clone(), &w.namespace)
}

async fn get(w: &World, name: &str) -> TaranaSyncSchedule {
    schedules(w).get(name).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "slots are about the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn monthly() -> Cron {
    Cron::parse(MONTHLY, "Etc/UTC").unwrap()
}

/// The newest slot of such a schedule.
fn newest() -> Timestamp {
    monthly().newest_until(now()).unwrap()
}

fn slot_name(name: &str, slot: Timestamp) -> String {
    format!("{name}-{}", slot.as_second() / 60)
}

/// Creates a schedule whose spec has these changes.
async fn create(w: &World, name: &str, changes: Value) -> TaranaSyncSchedule {
    let mut spec = json!({"schedule": MONTHLY, "startingDeadlineSeconds": 31_536_000});
    servers::merge(&mut spec, changes);
    let object = json!({
        "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": name}, "spec": spec,
    });
    let object = serde_json::from_value(object).unwrap();
    schedules(w)
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
}

/// Lets it believe that it has been at it for long: so many slots are due.
async fn backdate(w: &World, name: &str, slots: usize) {
    let moment = SignedDuration::from_secs(1);
    let before = |t: &Timestamp| monthly().newest_until(*t).map(|slot| slot - moment);
    let since = std::iter::successors(Some(now()), before).nth(slots).unwrap();
    let schedule = get(w, name).await;
    let status = json!({"status": {
        "observedSchedule": format!("{} {}", schedule.spec.schedule, schedule.spec.time_zone),
        "notBefore": since.to_string(),
        "consecutiveFailures": 0, "conditions": [],
    }});
    schedules(w)
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
}

async fn due(w: &World, name: &str, changes: Value) {
    create(w, name, changes).await;
    backdate(w, name, 2).await;
}

async fn schedule_when(
    w: &World,
    name: &str,
    what: &str,
    is_so: impl Fn(&TaranaSyncSchedule) -> bool,
) -> TaranaSyncSchedule {
    until(&format!("schedule {name} {what}"), || async {
        Some(get(w, name).await).filter(|s| is_so(s))
    })
    .await
}

/// Ready's reason.
fn reason(schedule: &TaranaSyncSchedule) -> String {
    condition(&schedule.status.clone().unwrap_or_default().conditions, "Ready").1
}

/// The Events about it, as soon as there is one of this reason: they come after the status.
async fn events_with(w: &World, name: &str, reason: &str) -> Vec<String> {
    until(&format!("an Event {reason} about {name}"), || async {
        Some(w.events(name).await).filter(|told| told.iter().any(|told| told == reason))
    })
    .await
}

/// Asks for a run now.
async fn request(w: &World, name: &str, value: &str) {
    let ask = json!({"metadata": {"annotations": {"tarana.dev/trigger-requested-at": value}}});
    schedules(w)
        .patch(name, &PatchParams::default(), &Patch::Merge(&ask))
        .await
        .unwrap();
}

async fn runs(w: &World) -> Vec<TaranaSync> {
    w.syncs().list(&ListParams::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_makes_a_run_and_its_row_says_cron() {
    let mut w = World::bare(servers::tcs()).await;
    w.secrets_and_connection().await;
    let template = json!({"metadata": {"labels": {"team": "coverage"}, "annotations": {"why": "nightly"}}, "spec": {"deleteStale": true}});
    due(&w, "monthly", json!({"template": template})).await;
    let slot = newest();
    w.start_operator();
    let run = w.finished(&slot_name("monthly", slot)).await;
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
    assert_eq!(w.log_row(&run).await["trigger_type"], "cron");

    its_schedule_tells_of(&w, &run, slot).await;
    // Nothing more comes of it, through a restart as well.
    w.stop_operator().await;
    w.start_operator();
    w.ready().await;
    w.run("after", json!({})).await;
    assert_eq!(runs(&w).await.len(), 2);
    let columns = servers::plane()
        .await
        .kubectl()
        .run(&["get", "tss", "-n", &w.namespace])
        .await
        .unwrap();
    assert!(
        columns.starts_with("NAME      SCHEDULE    TIME ZONE   READY   REASON      NEXT"),
        "{columns}"
    );
}

/// The status after the first slot and the end of its run; what was due before it was missed.
async fn its_schedule_tells_of(w: &World, run: &TaranaSync, slot: Timestamp) {
    let told = schedule_when(w, "monthly", "tells of its end", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_sync.is_some() && s.active.is_empty())
    })
    .await;
    let status = told.status.unwrap();
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
        events_with(w, "monthly", "SlotMissed").await,
        ["RunCreated", "SlotMissed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_without_a_lease_create_one_run_for_each_slot() {
    let w = World::bare(servers::tcs()).await;
    let (first, second) = (
        Program::start(&w, "first").await,
        Program::start(&w, "second").await,
    );
    for operator in [&first, &second] {
        operator.says("watching").await;
    }
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    for name in &names {
        create(&w, name, json!({})).await;
    }
    for name in &names {
        schedule_when(&w, name, "is looked at", |s| s.status.is_some()).await;
    }
    // Both are told of it at the same moment.
    for name in &names {
        backdate(&w, name, 1).await;
    }
    let slot = newest();
    for name in &names {
        let told = schedule_when(&w, name, "has its slot", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.last_schedule_time.as_ref().is_some_and(|t| t.0 >= slot))
        })
        .await;
        assert_eq!(told.status.unwrap().active, [slot_name(name, slot)]);
    }
    let mut created: Vec<String> = runs(&w).await.iter().map(ResourceExt::name_any).collect();
    let mut expected: Vec<String> = names.iter().map(|name| slot_name(name, slot)).collect();
    created.sort();
    expected.sort();
    assert_eq!(created, expected);
}

/// A schedule that is suspended, with a run that somebody asked for and that hangs.
async fn active_though_suspended(w: &World, name: &str, policy: &str) {
    create(w, name, json!({"concurrencyPolicy": policy, "suspend": true})).await;
    let suspended = schedule_when(w, name, "is suspended", |s| reason(s) == "Suspended").await;
    assert_eq!(suspended.status.unwrap().next_schedule_time, None);
    request(w, name, "now").await;
    let asked = schedule_when(w, name, "has created its run", |s| {
        s.status
            .as_ref()
            .is_some_and(|s| s.last_handled_trigger.as_deref() == Some("now") && s.active.len() == 1)
    })
    .await;
    let run = w.syncs().get(&asked.status.unwrap().active[0]).await.unwrap();
    assert_eq!(run.spec.trigger.type_, TriggerType::Manual);
}

#[tokio::test(flavor = "multi_thread")]
async fn forbid_skips_replace_replaces_and_a_request_does_not_care() {
    let mut w = World::bare(servers::tcs()).await;
    w.secrets_and_connection().await;
    w.tcs.script(vec![servers::hanging_search()]);
    w.start_operator();
    w.ready().await;
    for (name, policy) in [("forbids", "Forbid"), ("replaces", "Replace")] {
        active_though_suspended(&w, name, policy).await;
        let resume = json!({"spec": {"suspend": false}});
        schedules(&w)
            .patch(name, &PatchParams::default(), &Patch::Merge(&resume))
            .await
            .unwrap();
        schedule_when(&w, name, "is resumed", |s| reason(s) == "Scheduled").await;
        assert_eq!(
            runs(&w)
                .await
                .iter()
                .filter(|r| r.name_any().starts_with(name))
                .count(),
            1,
            "a slot was made up for"
        );
        backdate(&w, name, 1).await;
    }
    let slot = newest();
    let skipped = schedule_when(&w, "forbids", "skips", |s| {
        s.status.as_ref().is_some_and(|s| s.last_skipped.is_some())
    })
    .await;
    assert_eq!(
        skipped.status.unwrap().last_skipped.unwrap().reason,
        "SlotSkipped"
    );
    events_with(&w, "forbids", "SlotSkipped").await;
    let replaced = schedule_when(&w, "replaces", "replaces", |s| {
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
async fn history_keeps_what_it_should() {
    let mut w = World::bare(servers::tcs()).await;
    w.secrets_and_connection().await;
    w.start_operator();
    w.ready().await;
    create(
        &w,
        "s",
        json!({"successfulSyncsHistoryLimit": 0, "failedSyncsHistoryLimit": 1}),
    )
    .await;
    let ask = async |value: String| {
        request(&w, "s", &value).await;
        let told = schedule_when(&w, "s", "is done with it", |s| {
            s.status
                .as_ref()
                .is_some_and(|s| s.last_handled_trigger.as_ref() == Some(&value) && s.active.is_empty())
        })
        .await;
        told.status.unwrap()
    };
    schedule_when(&w, "s", "is looked at", |s| s.status.is_some()).await;
    ask("1".into()).await;
    let good = ask("2".into()).await;
    w.tcs.script(vec![servers::html_search()]);
    ask("3".into()).await;
    let bad = ask("4".into()).await;
    assert_eq!((good.consecutive_failures, bad.consecutive_failures), (0, 2));
    assert_eq!(bad.last_successful_time, good.last_successful_time);
    assert_eq!(condition(&bad.conditions, "LastSyncSucceeded").0, "False");
    let kept = [good.last_sync.unwrap().name, bad.last_sync.unwrap().name];
    until("only the newest of each kind is left", || async {
        let left: Vec<String> = runs(&w).await.iter().map(ResourceExt::name_any).collect();
        (left.len() == 2 && kept.iter().all(|name| left.contains(name))).then_some(())
    })
    .await;
    assert_eq!(w.number("select count(*) from tarana_sync_logs").await, 4);
}
