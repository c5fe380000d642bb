//! Scenarios: what the slot history and the conditions say about slots without a run.

use std::sync::Arc;

use super::super::{Action, decide};
use super::request;
use super::simulation::{Simulation, at};
use crate::api::condition::{self, LAST_SYNC_SUCCEEDED, READY, STALLED};
use crate::api::reason::Reason;
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::Phase;

const HOUR: i64 = 3600;

/// An hourly schedule at 10:00, before its first slot.
fn hourly() -> Simulation {
    let mut sim = Simulation::new("0 * * * *");
    sim.settle(false);
    sim
}

#[test]
fn a_run_that_was_created_before_a_crash_is_not_reported_as_missed() {
    // Until the next slot, and beyond startingDeadlineSeconds.
    for (deadline, slots) in [
        (
            14_400,
            [
                "11:00 Ran RunCreated nightly-29576820",
                "12:00 Skipped RunActive nightly-29576820",
            ],
        ),
        (
            60,
            ["11:00 Ran RunCreated nightly-29576820", "12:00 Missed SlotMissed"],
        ),
    ] {
        let mut sim = hourly();
        sim.edit(|s| s.spec.starting_deadline_seconds = deadline);
        sim.settle(false);
        sim.wait(HOUR);
        sim.crash();
        sim.wait(HOUR + 90);
        sim.settle(false);
        assert_eq!(sim.slots(), slots);
        assert_eq!(sim.event_reasons()[0], Reason::RunCreated);
        assert_eq!(sim.event_reasons().len(), 2, "{:?}", sim.events);
        let status = sim.schedule.status.as_ref().unwrap();
        assert_eq!(
            status.last_schedule_time.as_ref().unwrap().0,
            at("2026-03-27T11:00:00Z")
        );
    }
}

#[test]
fn missed_slots_are_recorded_whatever_becomes_of_the_newest() {
    type Change = fn(&mut Simulation);
    let cases: [(Change, &str); 2] = [
        (
            |sim| {
                sim.wait(HOUR);
                sim.settle(false);
            },
            "14:00 Skipped RunActive",
        ),
        (
            |sim| {
                sim.foreign.insert("nightly-29576940".into());
            },
            "13:00 Skipped NameTaken nightly-29576940",
        ),
    ];
    for (change, newest) in cases {
        let mut sim = hourly();
        change(&mut sim);
        sim.settle(false);
        sim.wait(3 * HOUR);
        sim.settle(false);
        let slots = sim.slots();
        let [.., older, old, last] = &slots[..] else {
            panic!("{slots:?}")
        };
        assert!(
            older.ends_with(":00 Missed SlotMissed") && old.ends_with(":00 Missed SlotMissed"),
            "{slots:?}"
        );
        assert!(last.starts_with(newest), "{slots:?}");
        assert_eq!(
            sim.events
                .iter()
                .filter(|e| e.reason == Reason::SlotMissed)
                .count(),
            1
        );
    }
}

#[test]
fn a_slot_that_waited_for_a_cancelled_run_names_it() {
    let mut sim = hourly();
    sim.slow_cancel = true;
    sim.edit(|s| s.spec.concurrency_policy = ConcurrencyPolicy::Replace);
    for _ in 0..3 {
        sim.wait(HOUR);
        sim.settle(false);
    }
    let run = "nightly-29576820";
    assert_eq!(
        sim.slots(),
        [
            format!("11:00 Ran RunCreated {run}"),
            format!("12:00 Skipped RunActive {run}")
        ]
    );
    let event = sim.events.last().unwrap();
    assert_eq!(event.reason, Reason::SlotSkipped);
    assert!(event.note.contains(run), "{}", event.note);
    sim.end(run, Phase::Cancelled);
    sim.settle(false);
    assert_eq!(sim.slots()[2], "13:00 Ran RunCreated nightly-29576940");
    // The wait may also exceed the deadline, or end with a suspension.
    sim.edit(|s| s.spec.starting_deadline_seconds = 60);
    sim.wait(HOUR);
    sim.settle(false);
    assert_eq!(sim.slots().len(), 3);
    sim.wait(61);
    sim.settle(false);
    assert_eq!(sim.slots()[3], "14:00 Skipped RunActive nightly-29576940");
    sim.wait(HOUR - 61);
    sim.settle(false);
    sim.edit(|s| s.spec.suspend = true);
    sim.settle(false);
    assert_eq!(sim.slots()[4], "15:00 Skipped Suspended");
}

#[test]
fn slots_of_a_suspension_and_of_a_previous_pattern_are_recorded() {
    let mut sim = hourly();
    sim.edit(|s| s.spec.suspend = true);
    sim.settle(false);
    sim.wait(HOUR);
    assert_eq!(
        decide(&sim.observed()),
        Action::AwaitChange,
        "an idle operator writes nothing"
    );
    sim.wait(HOUR);
    sim.edit(|s| s.spec.suspend = false);
    sim.settle(false);
    assert_eq!(
        sim.slots(),
        ["11:00 Skipped Suspended", "12:00 Skipped Suspended"]
    );
    sim.wait(HOUR);
    sim.edit(|s| s.spec.schedule = "30 * * * *".into());
    sim.settle(false);
    assert_eq!(sim.slots()[2..], ["13:00 Skipped ScheduleChanged"]);
    sim.wait(HOUR / 2);
    sim.settle(false);
    assert_eq!(sim.slots()[3..], ["13:30 Ran RunCreated nightly-29576970"]);
    let expected = [
        Reason::Suspended,
        Reason::Resumed,
        Reason::SlotSkipped,
        Reason::RunCreated,
    ];
    assert_eq!(sim.event_reasons(), expected);
}

#[test]
fn a_long_suspension_is_recorded_with_the_next_change() {
    let mut sim = hourly();
    sim.edit(|s| s.spec.suspend = true);
    sim.settle(false);
    sim.wait(365 * 24 * HOUR);
    sim.settle(false);
    assert!(sim.slots().is_empty());
    sim.edit(|s| s.spec.jitter_seconds = 1);
    sim.settle(false);
    assert_eq!(sim.slots().len(), 20);
    assert_eq!(sim.slots()[19], "10:00 Skipped Suspended");
    assert_eq!(sim.event_reasons(), [Reason::Suspended]);
    sim.wait(30 * HOUR);
    sim.edit(|s| s.spec.suspend = false);
    sim.settle(false);
    assert_eq!(sim.slots()[19], "16:00 Skipped Suspended");
    assert!(sim.started_slots.is_empty());
}

#[test]
fn a_taken_name_is_reported_while_its_object_exists() {
    let mut sim = hourly();
    sim.foreign.insert("nightly-29576820".into());
    sim.wait(HOUR);
    sim.settle(false);
    sim.wait(60);
    sim.settle(false);
    sim.assert_condition(READY, "False", Reason::NameTaken);
    sim.foreign.clear();
    sim.settle(false);
    sim.assert_condition(READY, "True", Reason::Scheduled);
    assert_eq!(sim.slots(), ["11:00 Skipped NameTaken nightly-29576820"]);
}

#[test]
fn a_rejected_template_is_reported_until_the_next_edit() {
    let mut sim = hourly();
    sim.wait(HOUR);
    let rejected = sim.observed().run_rejected(sim.now, "\"x\" is no label");
    sim.schedule.status = Some(rejected.status);
    for _ in 0..2 {
        sim.settle(false);
        sim.assert_condition(READY, "False", Reason::RunRefused);
        sim.assert_condition(STALLED, "True", Reason::RunRefused);
        let status = sim.schedule.status.as_ref().unwrap();
        let message = &condition::find(&status.conditions, READY).unwrap().message;
        assert!(message.contains("\"x\" is no label"), "{message}");
        sim.wait(60);
    }
    sim.edit(|s| s.spec.template.metadata.labels.clear());
    sim.settle(false);
    sim.assert_condition(READY, "True", Reason::Scheduled);
    assert!(sim.condition(STALLED).is_none());
    assert!(sim.events.is_empty(), "{:?}", sim.events);
}

#[test]
fn a_schedule_that_has_never_run_says_so() {
    let mut sim = hourly();
    let never = Some(("Unknown".to_owned(), "NeverRun".to_owned()));
    assert_eq!(sim.condition(LAST_SYNC_SUCCEEDED), never);
    for (phase, expected) in [
        (Phase::Cancelled, ("Unknown", "NeverRun")),
        (Phase::Completed, ("True", "Completed")),
        (Phase::Failed, ("False", "FetchEmpty")),
    ] {
        sim.wait(HOUR);
        sim.settle(false);
        sim.end_active(phase);
        sim.settle(false);
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert_eq!(sim.condition(LAST_SYNC_SUCCEEDED), Some(expected));
    }
}

#[test]
fn status_stays_under_4_kib_at_its_worst() {
    let mut sim = Simulation::new("* * * * *");
    sim.schedule.metadata.name = Some("x".repeat(52));
    sim.schedule.metadata.generation = Some(i64::MAX / 2);
    sim.edit(|s| s.spec.schedule = format!("*\t*\t*\t*\t*{}", "\t".repeat(247)));
    sim.settle(false);
    let value = "\u{1}\"".repeat(50_000);
    request(&mut sim, &value);
    sim.settle(false);
    for _ in 0..30 {
        sim.end_active(Phase::Completed);
        sim.wait(60);
        sim.settle(false);
    }
    for n in 0..100 {
        let value = format!("2026-03-27T10:00:00.{n:09}+00:00 dryRun deleteStale");
        request(&mut sim, &value);
        sim.settle(false);
        sim.wait(60);
        sim.settle(false);
    }
    let value = "\u{1}\"".repeat(32);
    request(&mut sim, &value);
    sim.settle(false);
    // The longest reason, and messages of the API server.
    let longest = Reason::ALL.iter().max_by_key(|r| r.as_str().len()).unwrap();
    let name = sim.schedule.status.as_ref().unwrap().active[0].clone();
    let run = sim
        .runs
        .iter_mut()
        .find(|run| run.metadata.name.as_ref() == Some(&name))
        .unwrap();
    let status = Arc::make_mut(run).status.get_or_insert_default();
    status.phase = Phase::Failed;
    status.completion_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(sim.now));
    let (message, none) = ("\"".repeat(2000), None);
    condition::set(
        &mut status.conditions,
        condition::FINISHED,
        true,
        *longest,
        &message,
        none,
        sim.now,
    );
    sim.settle(false);
    sim.wait(60);
    let rejected = sim.observed().run_rejected(sim.now, &"\"\n\u{1}é".repeat(2000));
    sim.schedule.status = Some(rejected.status);
    sim.settle(false);
    let status = sim.schedule.status.as_ref().unwrap();
    let size = serde_json::to_string(status).unwrap().len();
    assert!(size < 4096, "{size}: {status:#?}");
    assert_eq!((status.active.len(), status.conditions.len()), (10, 3));
    assert_eq!(status.recent_slots[0].reason, "RunRefused");
    assert!(
        status.recent_slots.len() > 1,
        "no room for the slot history: {size}"
    );
}
