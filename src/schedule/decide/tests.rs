//! Scenarios: which runs a schedule creates, and which Events it publishes.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use self::simulation::{Simulation, at};
use super::{Action, decide};
use crate::api::condition::{READY, STALLED};
use crate::api::reason::Reason;
use crate::api::schedule::{ConcurrencyPolicy, TRIGGER_ANNOTATION, TaranaSyncSchedule};
use crate::api::sync::Phase;

mod properties;
mod simulation;

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
    assert_eq!(
        status.last_skipped.unwrap().time,
        Time(at("2026-03-27T14:00:00Z"))
    );
    assert_eq!(sim.event_reasons(), [Reason::RunCreated, Reason::SlotMissed]);
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
    let skipped = sim.schedule.status.clone().unwrap().last_skipped.unwrap();
    assert_eq!(
        (skipped.reason.as_str(), skipped.time.0),
        ("SlotSkipped", at("2026-03-27T12:00:00Z"))
    );
    assert!(
        skipped.message.contains("nightly-29576820"),
        "{}",
        skipped.message
    );
    assert_eq!(sim.event_reasons(), [Reason::RunCreated, Reason::SlotSkipped]);
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
    let request = |value: &str| {
        let value = value.to_owned();
        move |s: &mut TaranaSyncSchedule| {
            s.annotations_mut().insert(TRIGGER_ANNOTATION.into(), value);
        }
    };
    request("one")(&mut sim.schedule);
    sim.settle(true);
    sim.settle(false);
    sim.edit(|s| s.spec.suspend = true);
    request("two")(&mut sim.schedule);
    sim.settle(false);
    sim.edit(|s| s.spec.schedule = "no pattern".into());
    request("three")(&mut sim.schedule);
    sim.settle(false);
    assert_eq!(sim.requested, 3);
    assert_eq!(
        sim.schedule
            .status
            .clone()
            .unwrap()
            .last_handled_trigger
            .as_deref(),
        Some("three")
    );
}

#[test]
fn a_trigger_annotation_from_before_the_creation_is_ignored() {
    for (value, requested) in [
        ("2026-03-27T09:59:59Z", 0),
        ("long ago", 0),
        ("2026-03-27T10:00:00Z", 1),
        ("2026-03-27T12:00:01+02:00", 1),
    ] {
        let mut sim = Simulation::new("0 0 * * *");
        sim.schedule
            .annotations_mut()
            .insert(TRIGGER_ANNOTATION.into(), value.into());
        sim.settle(false);
        assert_eq!(sim.requested, requested, "{value}");
        assert_eq!(
            sim.schedule
                .status
                .clone()
                .unwrap()
                .last_handled_trigger
                .as_deref(),
            Some(value)
        );
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
        [Reason::RunCreated, Reason::SlotMissed, Reason::ClockBehind]
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
    for value in ["1", "2", "3", "4", "5", "6"] {
        sim.schedule
            .annotations_mut()
            .insert(TRIGGER_ANNOTATION.into(), value.into());
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
