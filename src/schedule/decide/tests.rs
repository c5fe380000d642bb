//! Scenarios: which runs a schedule creates, and which Events it publishes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use self::simulation::{Simulation, at};
use super::{Action, decide};
use crate::api::condition::{self, READY, STALLED};
use crate::api::reason::Reason;
use crate::api::schedule::{ConcurrencyPolicy, TRIGGER_ANNOTATION};
use crate::api::sync::{Phase, TaranaSync};

mod properties;
mod replacements;
mod simulation;
mod slot_records;

#[test]
fn each_slot_starts_one_run_and_creating_the_schedule_starts_none() {
    let mut sim = Simulation::new("*/10 * * * *");
    for _ in 0..6 * 60 {
        sim.settle(false);
        sim.end_active(Phase::Completed);
        sim.settle(false);
        sim.wait(10);
    }
    let slots: Vec<i64> = sim
        .started_slots
        .iter()
        .map(|(slot, at)| at.duration_since(*slot).as_secs())
        .collect();
    assert_eq!(slots, [0; 5]);
    let status = sim.schedule.status.as_ref().unwrap();
    assert_eq!(status.next_schedule_time, Some(Time(at("2026-03-27T11:00:00Z"))));
    assert_eq!((status.consecutive_failures, status.active.len()), (0, 0));
    sim.assert_condition(READY, "True", Reason::Scheduled);
    assert_eq!(sim.event_reasons(), [Reason::RunCreated; 5]);
}

#[test]
fn only_the_newest_missed_slot_is_started_late() {
    let mut sim = Simulation::new("0 * * * *");
    sim.settle(false);
    sim.wait(5 * 3600 + 600);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 1);
    let status = sim.schedule.status.clone().unwrap();
    assert_eq!(status.last_schedule_time, Some(Time(at("2026-03-27T15:00:00Z"))));
    let missed = ["11", "12", "13", "14"].map(|hour| format!("{hour}:00 Missed SlotMissed"));
    assert_eq!(sim.slots()[..4], missed);
    assert_eq!(sim.slots()[4], "15:00 Ran RunCreated nightly-29577060");
    assert_eq!(sim.event_reasons(), [Reason::SlotMissed, Reason::RunCreated]);
    // Every slot is past the deadline.
    sim.end_active(Phase::Completed);
    sim.edit(|s| s.spec.starting_deadline_seconds = 60);
    sim.wait(5 * 365 * 86400);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 1);
    // Extending the deadline afterwards starts none of them.
    sim.edit(|s| s.spec.starting_deadline_seconds = 31_536_000);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 1);
}

#[test]
fn forbid_skips_the_slot_and_reports_it() {
    let mut sim = Simulation::new("0 * * * *");
    sim.settle(false);
    sim.wait(3600);
    sim.settle(false);
    sim.wait(3600);
    sim.settle(false);
    let active = "nightly-29576820";
    assert_eq!(
        sim.slots(),
        [
            format!("11:00 Ran RunCreated {active}"),
            format!("12:00 Skipped RunActive {active}")
        ]
    );
    assert_eq!(sim.event_reasons(), [Reason::RunCreated, Reason::SlotSkipped]);
    assert!(sim.events[1].note.contains(active), "{}", sim.events[1].note);
    sim.end_active(Phase::Completed);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 1, "a skipped slot was started later");
}

#[test]
fn replace_waits_until_the_cancelled_run_has_ended() {
    let mut sim = Simulation::new("0 * * * *");
    sim.edit(|s| s.spec.concurrency_policy = ConcurrencyPolicy::Replace);
    sim.settle(false);
    sim.wait(3600);
    sim.settle(false);
    sim.wait(3600);
    let Action::Cancel(run) = decide(&sim.observed()) else {
        panic!()
    };
    // Until the run has ended, nothing is started and nothing is cancelled twice.
    for run in &mut sim.runs {
        Arc::make_mut(run).spec.cancel = true;
    }
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 1);
    assert!(matches!(decide(&sim.observed()), Action::Requeue(_)));
    sim.end(&run.name_any(), Phase::Cancelled);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 2);
    assert_eq!(sim.schedule.status.clone().unwrap().consecutive_failures, 0);
}

#[test]
fn a_trigger_annotation_creates_one_run_in_any_state() {
    let mut sim = Simulation::new("0 0 * * *");
    sim.settle(false);
    let last = "2026-03-27T10:00:02Z dryRun deleteStale";
    request(&mut sim, "2026-03-27T10:00:00Z");
    sim.settle(true);
    sim.settle(false);
    sim.edit(|s| s.spec.suspend = true);
    request(&mut sim, "2026-03-27T10:00:01Z");
    sim.settle(false);
    sim.edit(|s| s.spec.schedule = "no pattern".into());
    request(&mut sim, last);
    sim.settle(false);
    assert_eq!(sim.requested, 3);
    assert_eq!(handled_trigger(&sim).as_deref(), Some(last));
    let options = |run: &Arc<TaranaSync>| (run.spec.dry_run, run.spec.delete_stale);
    let options: Vec<_> = sim.runs.iter().map(options).collect();
    assert_eq!(options, [(false, false), (false, false), (true, true)]);
    // An earlier value again: its run exists.
    request(&mut sim, "2026-03-27T10:00:00Z");
    sim.settle(false);
    assert_eq!((sim.requested, sim.runs.len()), (3, 3));
}

fn request(sim: &mut Simulation, value: &str) {
    let annotations = sim.schedule.annotations_mut();
    annotations.insert(TRIGGER_ANNOTATION.into(), value.into());
}

fn handled_trigger(sim: &Simulation) -> Option<String> {
    sim.schedule.status.clone().unwrap().last_handled_trigger
}

#[test]
fn an_invalid_trigger_annotation_is_reported_once_and_creates_nothing() {
    let long = "x".repeat(200_000);
    for value in ["now", "2026-03-27T10:00:00Z dryrun", &long] {
        for at_creation in [true, false] {
            let mut sim = Simulation::new("0 0 * * *");
            if !at_creation {
                sim.settle(false);
            }
            request(&mut sim, value);
            for _ in 0..3 {
                sim.settle(false);
            }
            assert_eq!((sim.requested, sim.runs.len()), (0, 0));
            assert_eq!(sim.event_reasons(), [Reason::InvalidTrigger]);
            assert!(
                sim.events[0]
                    .note
                    .contains("<RFC 3339 time>[ dryRun][ deleteStale]")
            );
            assert!(handled_trigger(&sim).unwrap().len() <= 64);
            sim.assert_condition(READY, "True", Reason::Scheduled);
        }
    }
}

#[test]
fn dry_runs_count_neither_as_successes_nor_as_failures() {
    let mut sim = Simulation::new("0 0 * * *");
    sim.edit(|s| s.spec.successful_syncs_history_limit = 0);
    sim.settle(false);
    let mut end = |value: &str, phase| {
        request(&mut sim, value);
        sim.settle(false);
        sim.end_active(phase);
        sim.settle(false);
        sim.wait(60);
        let status = sim.schedule.status.clone().unwrap();
        let last_success = status.last_successful_time.map(|t| t.0);
        (status.consecutive_failures, last_success, sim.runs.len())
    };
    let success = Some(at("2026-03-27T10:00:00Z"));
    assert_eq!(end("2026-03-27T10:00:00Z", Phase::Completed), (0, success, 1));
    assert_eq!(end("2026-03-27T10:00:01Z", Phase::Failed), (1, success, 2));
    // Only the history limit of 0 applies to a completed dry run, and the older success is kept.
    assert_eq!(
        end("2026-03-27T10:00:02Z dryRun", Phase::Completed),
        (1, success, 2)
    );
    assert_eq!(end("2026-03-27T10:00:03Z dryRun", Phase::Failed), (1, success, 3));
    sim.assert_condition("LastSyncSucceeded", "False", Reason::FetchEmpty);
    let last_sync = sim.schedule.status.clone().unwrap().last_sync.unwrap();
    assert!(last_sync.dry_run);
    assert!(
        sim.runs
            .iter()
            .any(|run| run.status.clone().unwrap().phase == Phase::Completed)
    );
}

#[test]
fn a_refused_run_is_shown_at_once_and_tried_again_until_its_deadline() {
    let mut sim = Simulation::new("0 * * * *");
    sim.edit(|s| s.spec.starting_deadline_seconds = 600);
    sim.settle(false);
    sim.refuses = true;
    sim.wait(3600);
    for _ in 0..20 {
        sim.settle(false);
        sim.assert_condition(READY, "False", Reason::RunRefused);
        assert!(sim.condition(STALLED).is_none());
        assert!(matches!(decide(&sim.observed()), Action::Requeue(after) if after.as_secs() <= 15));
        sim.wait(15);
    }
    assert_eq!(sim.event_reasons(), [Reason::RunRefused]);
    let mut accepted = sim;
    let mut sim = accepted.clone();
    // The quota is raised.
    accepted.refuses = false;
    accepted.settle(false);
    accepted.assert_condition(READY, "True", Reason::Scheduled);
    assert_eq!(accepted.started_slots.len(), 1);
    assert_eq!(accepted.event_reasons(), [Reason::RunRefused, Reason::RunCreated]);
    // The deadline passes.
    sim.wait(600);
    sim.settle(false);
    assert_eq!(sim.slots(), ["11:00 Skipped RunRefused"]);
    let note = &sim.events.last().unwrap().note;
    assert!(note.ends_with(": exceeded quota"), "{note}");
    let status = sim.schedule.status.as_ref().unwrap();
    assert_eq!(condition::find(&status.conditions, READY).unwrap().message, *note);
    assert_eq!(sim.event_reasons(), [Reason::RunRefused; 2]);
    sim.refuses = false;
    sim.settle(false);
    assert!(sim.started_slots.is_empty());
}

#[test]
fn a_refused_slot_is_skipped_when_the_next_one_is_due() {
    let mut sim = Simulation::new("*/10 * * * *");
    sim.settle(false);
    sim.refuses = true;
    for _ in 0..3 {
        sim.wait(600);
        sim.settle(false);
        sim.assert_condition(READY, "False", Reason::RunRefused);
    }
    let skipped = ["10:10 Skipped RunRefused", "10:20 Skipped RunRefused"];
    assert_eq!(sim.slots(), skipped);
    assert_eq!(sim.event_reasons(), [Reason::RunRefused; 3]);
    sim.refuses = false;
    sim.wait(15);
    sim.settle(false);
    assert_eq!(
        sim.started_slots,
        [(at("2026-03-27T10:30:00Z"), at("2026-03-27T10:30:15Z"))]
    );
}

#[test]
fn a_trigger_annotation_from_before_the_creation_is_ignored() {
    for (value, requested) in [
        ("2026-03-27T09:59:59Z", 0),
        ("2026-03-27T10:00:00Z", 1),
        ("2026-03-27T12:00:01+02:00", 1),
        ("2026-03-27T12:00:01+03:00 dryRun", 0),
    ] {
        let mut sim = Simulation::new("0 0 * * *");
        request(&mut sim, value);
        sim.settle(false);
        assert_eq!(sim.requested, requested, "{value}");
        assert_eq!(handled_trigger(&sim).as_deref(), Some(value));
    }
}

#[test]
fn each_problem_sets_ready_and_publishes_one_event() {
    type Change = fn(&mut Simulation);
    let cases: [(Change, &str, Reason); 7] = [
        (
            |sim| sim.edit(|s| s.spec.schedule = "0 0 31 2 *".into()),
            "True",
            Reason::NeverDue,
        ),
        (
            |sim| sim.edit(|s| s.spec.schedule = "0 0 * * * *".into()),
            "True",
            Reason::InvalidSchedule,
        ),
        (
            |sim| sim.edit(|s| s.spec.time_zone = "Mars/Olympus".into()),
            "True",
            Reason::InvalidSchedule,
        ),
        (
            |sim| sim.connection_exists = false,
            "True",
            Reason::ConnectionNotFound,
        ),
        (|sim| sim.wait(-365 * 86400), "True", Reason::ClockBehind),
        (|sim| sim.edit(|s| s.spec.suspend = true), "", Reason::Suspended),
        (
            |sim| {
                sim.foreign.insert("nightly-29576820".into());
                sim.wait(3600);
            },
            "",
            Reason::NameTaken,
        ),
    ];
    for (change, stalled, reason) in cases {
        let mut sim = Simulation::new("0 * * * *");
        sim.settle(false);
        change(&mut sim);
        for _ in 0..3 {
            sim.settle(false);
            sim.wait(60);
        }
        sim.assert_condition(READY, "False", reason);
        assert_eq!(
            sim.condition(STALLED).map(|(status, _)| status),
            (!stalled.is_empty()).then(|| stalled.to_owned())
        );
        assert_eq!(sim.event_reasons(), [reason], "{:?}", sim.events);
        assert!(sim.started_slots.is_empty());
    }
}

#[test]
fn a_clock_that_jumps_a_year_and_back_starts_one_run() {
    let mut sim = Simulation::new("0 * * * *");
    sim.settle(false);
    sim.wait(365 * 86400);
    sim.settle(false);
    sim.end_active(Phase::Completed);
    sim.settle(false);
    sim.wait(-365 * 86400);
    for _ in 0..10 {
        sim.settle(false);
        sim.wait(3600);
    }
    assert_eq!(sim.started_slots.len(), 1);
    sim.assert_condition(READY, "False", Reason::ClockBehind);
    assert_eq!(
        sim.event_reasons(),
        [Reason::SlotMissed, Reason::RunCreated, Reason::ClockBehind]
    );
    // The remedy of the condition's message.
    sim.schedule.status.as_mut().unwrap().not_before = None;
    sim.settle(false);
    sim.assert_condition(READY, "True", Reason::Scheduled);
    sim.wait(3600);
    sim.settle(false);
    assert_eq!(sim.started_slots.len(), 2);
}

#[test]
fn runs_that_end_in_the_same_second_are_all_counted() {
    let mut sim = Simulation::new("0 0 * * *");
    sim.settle(false);
    for second in 1..=6 {
        request(&mut sim, &format!("2026-03-27T10:00:0{second}Z"));
        sim.settle(false);
        sim.end_active(Phase::Failed);
        sim.settle(false);
    }
    assert_eq!(sim.schedule.status.clone().unwrap().consecutive_failures, 6);
}

#[test]
fn failures_are_counted_and_the_newest_completed_run_is_kept() {
    let mut sim = Simulation::new("0 * * * *");
    sim.edit(|s| {
        s.spec.successful_syncs_history_limit = 0;
        s.spec.failed_syncs_history_limit = 2;
    });
    sim.settle(false);
    let ends = [
        Phase::Completed,
        Phase::Completed,
        Phase::Failed,
        Phase::Failed,
        Phase::Cancelled,
        Phase::Failed,
    ];
    for phase in ends {
        sim.wait(3600);
        sim.settle(false);
        sim.end_active(phase);
        sim.settle(false);
    }
    let status = sim.schedule.status.clone().unwrap();
    assert_eq!(status.consecutive_failures, 3);
    assert_eq!(
        sim.condition("LastSyncSucceeded"),
        Some(("False".into(), "FetchEmpty".into()))
    );
    let phases: Vec<_> = sim
        .runs
        .iter()
        .map(|run| run.status.clone().unwrap().phase)
        .collect();
    assert_eq!(phases, [Phase::Completed, Phase::Cancelled, Phase::Failed]);
    let size = serde_json::to_string(&sim.schedule.status).unwrap().len();
    assert!(size < 4096, "{size}");
}
