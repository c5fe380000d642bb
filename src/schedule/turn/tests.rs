//! What a schedule does, told as stories.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use self::world::{World, at};
use super::{Action, decide};
use crate::api::condition::{READY, STALLED};
use crate::api::reason::Reason;
use crate::api::schedule::{ConcurrencyPolicy, TRIGGER, TaranaSyncSchedule};
use crate::api::sync::Phase;

mod properties;
mod world;

#[test]
fn each_slot_starts_one_run_and_creation_none() {
    let mut world = World::new("*/10 * * * *");
    for _ in 0..6 * 60 {
        world.settle(false);
        world.end_all(Phase::Completed);
        world.settle(false);
        world.wait(10);
    }
    let slots: Vec<i64> = world
        .started
        .iter()
        .map(|(slot, at)| at.duration_since(*slot).as_secs())
        .collect();
    assert_eq!(slots, [0; 5]);
    let status = world.schedule.status.as_ref().unwrap();
    assert_eq!(status.next_schedule_time, Some(Time(at("2026-03-27T11:00:00Z"))));
    assert_eq!((status.consecutive_failures, status.active.len()), (0, 0));
    world.is(READY, "True", Reason::Scheduled);
    assert_eq!(world.told(), [Reason::RunCreated; 5]);
}

#[test]
fn what_was_missed_is_made_up_for_once_and_told() {
    let mut world = World::new("0 * * * *");
    world.settle(false);
    world.wait(5 * 3600 + 600);
    world.settle(false);
    assert_eq!(world.started.len(), 1);
    let status = world.schedule.status.clone().unwrap();
    assert_eq!(status.last_schedule_time, Some(Time(at("2026-03-27T15:00:00Z"))));
    assert_eq!(
        status.last_skipped.unwrap().time,
        Time(at("2026-03-27T14:00:00Z"))
    );
    assert_eq!(world.told(), [Reason::RunCreated, Reason::SlotMissed]);
    // Too late for any of them.
    world.end_all(Phase::Completed);
    world.edit(|s| s.spec.starting_deadline_seconds = 60);
    world.wait(5 * 365 * 86400);
    world.settle(false);
    assert_eq!(world.started.len(), 1);
    // A longer deadline afterwards brings nothing back.
    world.edit(|s| s.spec.starting_deadline_seconds = 31_536_000);
    world.settle(false);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn forbid_skips_and_says_so() {
    let mut world = World::new("0 * * * *");
    world.settle(false);
    world.wait(3600);
    world.settle(false);
    world.wait(3600);
    world.settle(false);
    let skipped = world.schedule.status.clone().unwrap().last_skipped.unwrap();
    assert_eq!(
        (skipped.reason.as_str(), skipped.time.0),
        ("SlotSkipped", at("2026-03-27T12:00:00Z"))
    );
    assert!(
        skipped.message.contains("nightly-29576820"),
        "{}",
        skipped.message
    );
    assert_eq!(world.told(), [Reason::RunCreated, Reason::SlotSkipped]);
    world.end_all(Phase::Completed);
    world.settle(false);
    assert_eq!(world.started.len(), 1, "a skipped slot came back");
}

#[test]
fn replace_waits_for_the_end_of_what_it_cancels() {
    let mut world = World::new("0 * * * *");
    world.edit(|s| s.spec.concurrency_policy = ConcurrencyPolicy::Replace);
    world.settle(false);
    world.wait(3600);
    world.settle(false);
    world.wait(3600);
    let Action::Cancel(run) = decide(&world.view()) else {
        panic!()
    };
    // While it goes on ending, nothing is started, and nothing is asked twice.
    for known in &mut world.runs {
        Arc::make_mut(known).spec.cancel = true;
    }
    world.settle(false);
    assert_eq!(world.started.len(), 1);
    assert!(matches!(decide(&world.view()), Action::Rest(Some(_))));
    world.end(&run.name_any(), Phase::Cancelled);
    world.settle(false);
    assert_eq!(world.started.len(), 2);
    assert_eq!(world.schedule.status.clone().unwrap().consecutive_failures, 0);
}

#[test]
fn a_request_creates_one_run_whatever_else() {
    let mut world = World::new("0 0 * * *");
    world.settle(false);
    let ask = |value: &str| {
        let value = value.to_owned();
        move |s: &mut TaranaSyncSchedule| {
            s.annotations_mut().insert(TRIGGER.into(), value);
        }
    };
    ask("one")(&mut world.schedule);
    world.settle(true);
    world.settle(false);
    world.edit(|s| s.spec.suspend = true);
    ask("two")(&mut world.schedule);
    world.settle(false);
    world.edit(|s| s.spec.schedule = "no pattern".into());
    ask("three")(&mut world.schedule);
    world.settle(false);
    assert_eq!(world.requested, 3);
    assert_eq!(
        world
            .schedule
            .status
            .clone()
            .unwrap()
            .last_handled_trigger
            .as_deref(),
        Some("three")
    );
}

#[test]
fn what_an_object_brings_along_is_no_request() {
    for (value, requested) in [
        ("2026-03-27T09:59:59Z", 0),
        ("long ago", 0),
        ("2026-03-27T10:00:00Z", 1),
        ("2026-03-27T12:00:01+02:00", 1),
    ] {
        let mut world = World::new("0 0 * * *");
        world
            .schedule
            .annotations_mut()
            .insert(TRIGGER.into(), value.into());
        world.settle(false);
        assert_eq!(world.requested, requested, "{value}");
        assert_eq!(
            world
                .schedule
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
fn what_is_wrong_is_told_once() {
    type Change = fn(&mut World);
    let cases: [(Change, &str, Reason); 7] = [
        (
            |w| w.edit(|s| s.spec.schedule = "0 0 31 2 *".into()),
            "True",
            Reason::NeverDue,
        ),
        (
            |w| w.edit(|s| s.spec.schedule = "0 0 * * * *".into()),
            "True",
            Reason::InvalidSchedule,
        ),
        (
            |w| w.edit(|s| s.spec.time_zone = "Mars/Olympus".into()),
            "True",
            Reason::InvalidSchedule,
        ),
        (|w| w.connected = false, "True", Reason::ConnectionNotFound),
        (|w| w.wait(-365 * 86400), "True", Reason::ClockBehind),
        (|w| w.edit(|s| s.spec.suspend = true), "", Reason::Suspended),
        (
            |w| {
                w.foreign.insert("nightly-29576820".into());
                w.wait(3600);
            },
            "",
            Reason::NameTaken,
        ),
    ];
    for (change, stalled, reason) in cases {
        let mut world = World::new("0 * * * *");
        world.settle(false);
        change(&mut world);
        for _ in 0..3 {
            world.settle(false);
            world.wait(60);
        }
        world.is(READY, "False", reason);
        assert_eq!(
            world.reason(STALLED).map(|(status, _)| status),
            (!stalled.is_empty()).then(|| stalled.to_owned())
        );
        assert_eq!(world.told(), [reason], "{:?}", world.news);
        assert!(world.started.is_empty());
    }
}

#[test]
fn a_year_forth_and_back_is_one_run_and_two_words() {
    let mut world = World::new("0 * * * *");
    world.settle(false);
    world.wait(365 * 86400);
    world.settle(false);
    world.end_all(Phase::Completed);
    world.settle(false);
    world.wait(-365 * 86400);
    for _ in 0..10 {
        world.settle(false);
        world.wait(3600);
    }
    assert_eq!(world.started.len(), 1);
    world.is(READY, "False", Reason::ClockBehind);
    assert_eq!(
        world.told(),
        [Reason::RunCreated, Reason::SlotMissed, Reason::ClockBehind]
    );
    // As its message says.
    world.schedule.status.as_mut().unwrap().not_before = None;
    world.settle(false);
    world.is(READY, "True", Reason::Scheduled);
    world.wait(3600);
    world.settle(false);
    assert_eq!(world.started.len(), 2);
}

#[test]
fn two_that_end_in_one_second_both_count() {
    let mut world = World::new("0 0 * * *");
    world.settle(false);
    for value in ["1", "2", "3", "4", "5", "6"] {
        world
            .schedule
            .annotations_mut()
            .insert(TRIGGER.into(), value.into());
        world.settle(false);
        world.end_all(Phase::Failed);
        world.settle(false);
    }
    assert_eq!(world.schedule.status.clone().unwrap().consecutive_failures, 6);
}

#[test]
fn failures_are_counted_and_the_newest_success_is_kept() {
    let mut world = World::new("0 * * * *");
    world.edit(|s| {
        s.spec.successful_syncs_history_limit = 0;
        s.spec.failed_syncs_history_limit = 2;
    });
    world.settle(false);
    let ends = [
        Phase::Completed,
        Phase::Completed,
        Phase::Failed,
        Phase::Failed,
        Phase::Cancelled,
        Phase::Failed,
    ];
    for phase in ends {
        world.wait(3600);
        world.settle(false);
        world.end_all(phase);
        world.settle(false);
    }
    let status = world.schedule.status.clone().unwrap();
    assert_eq!(status.consecutive_failures, 3);
    assert_eq!(
        world.reason("LastSyncSucceeded"),
        Some(("False".into(), "FetchEmpty".into()))
    );
    let phases: Vec<_> = world
        .runs
        .iter()
        .map(|run| run.status.clone().unwrap().phase)
        .collect();
    assert_eq!(phases, [Phase::Completed, Phase::Cancelled, Phase::Failed]);
    let size = serde_json::to_string(&world.schedule.status).unwrap().len();
    assert!(size < 4096, "{size}");
}
