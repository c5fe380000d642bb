//! Properties that hold for random sequences of events.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;

use super::simulation::{Simulation, at};
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::Phase;

/// An event of the simulation.
#[derive(Clone, Debug)]
enum Event {
    Wait(i64),
    Down(i64),
    Clock(i64),
    Pattern(usize),
    Deadline(i32),
    Jitter(i32),
    Suspend(bool),
    Policy(bool),
    Ends(bool),
    Crash(i64),
}

const PATTERNS: [&str; 7] = [
    "*/5 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0 0 30 2 *",
    "rubbish",
    "15,45 1-3 * * 0",
];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..7200_i64).prop_map(Event::Wait),
        1 => (1..5 * 365 * 86400_i64).prop_map(Event::Down),
        1 => (-400 * 86400..400 * 86400_i64).prop_map(Event::Clock),
        1 => (-7200..7200_i64).prop_map(Event::Clock),
        1 => (0..PATTERNS.len()).prop_map(Event::Pattern),
        1 => (60..100_000_i32).prop_map(Event::Deadline),
        1 => (0..3600_i32).prop_map(Event::Jitter),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => any::<bool>().prop_map(Event::Policy),
        2 => any::<bool>().prop_map(Event::Ends),
        2 => (1..7200_i64).prop_map(Event::Crash),
    ]
}

/// Applies an event. Returns whether it may start a slot: an edit may not.
fn apply(sim: &mut Simulation, event: &Event) -> bool {
    let mut crash = false;
    match *event {
        Event::Wait(seconds) | Event::Down(seconds) | Event::Clock(seconds) => sim.wait(seconds),
        Event::Crash(seconds) => {
            sim.wait(seconds);
            crash = true;
        }
        Event::Pattern(n) => sim.edit(|s| s.spec.schedule = PATTERNS[n].into()),
        Event::Deadline(seconds) => sim.edit(|s| s.spec.starting_deadline_seconds = seconds),
        Event::Jitter(seconds) => sim.edit(|s| {
            s.spec.jitter_seconds = seconds.min(s.spec.starting_deadline_seconds);
        }),
        Event::Suspend(suspend) => sim.edit(|s| s.spec.suspend = suspend),
        Event::Policy(replace) => sim.edit(|s| {
            s.spec.concurrency_policy = if replace {
                ConcurrencyPolicy::Replace
            } else {
                ConcurrencyPolicy::Forbid
            };
        }),
        Event::Ends(well) => sim.end_active(if well { Phase::Completed } else { Phase::Failed }),
    }
    sim.settle(crash);
    // Less jitter may start a slot that was delayed: its time had passed already.
    let may_start = matches!(
        event,
        Event::Wait(_)
            | Event::Down(_)
            | Event::Clock(_)
            | Event::Crash(_)
            | Event::Ends(_)
            | Event::Jitter(_)
    );
    if crash {
        sim.settle(false);
    }
    may_start
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Each slot starts at most once, none before `notBefore` or before its time, none because of an edit.
    #[test]
    fn each_slot_starts_at_most_once_and_only_when_due(pattern in 0..PATTERNS.len(), events in vec(event(), 1..60)) {
        let mut sim = Simulation::new(PATTERNS[pattern]);
        sim.settle(false);
        for event in events {
            let count = sim.started_slots.len();
            let before = sim.schedule.status.as_ref().and_then(|s| s.not_before.clone()).unwrap().0;
            let may_start = apply(&mut sim, &event);
            let (started, status) = (&sim.started_slots[count..], sim.schedule.status.as_ref().unwrap());
            prop_assert!(may_start || started.is_empty(), "{event:?} started {started:?}");
            prop_assert!(status.not_before.as_ref().unwrap().0 >= before);
            let skipped = status.last_skipped.as_ref().map(|s| s.time.0);
            prop_assert!(!sim.started_slots.iter().any(|(slot, _)| Some(*slot) == skipped), "a slot was started and skipped");
            for (slot, time) in started {
                prop_assert!(*slot > before && slot <= time, "slot {slot} started at {time}, notBefore was {before}");
                prop_assert_eq!(status.last_schedule_time.as_ref().map(|t| t.0), Some(*slot));
                let delay = time.duration_since(*slot).as_secs();
                prop_assert!(delay <= i64::from(sim.schedule.spec.starting_deadline_seconds));
            }
        }
        let slots: BTreeSet<_> = sim.started_slots.iter().map(|(slot, _)| slot).collect();
        prop_assert_eq!(slots.len(), sim.started_slots.len(), "a slot started two runs");
        prop_assert!(sim.started_slots.is_sorted_by_key(|(slot, _)| slot));
    }

    /// While the operator runs and the runs end, each slot starts a run.
    #[test]
    fn each_slot_starts_while_the_operator_runs(pattern in 0..4_usize, jitter in 0..3600_i32, waits in vec(1..3600_i64, 1..30)) {
        let mut sim = Simulation::new(PATTERNS[pattern]);
        sim.edit(|s| s.spec.jitter_seconds = jitter);
        sim.settle(false);
        let mut slots = Vec::new();
        for wait in waits {
            // The controller reconciles at each requeue time.
            let until = sim.now + SignedDuration::from_secs(wait);
            while sim.now < until {
                let due = sim.observed().due_slots(sim.observed().not_before()).unwrap();
                sim.now = due.requeue_at.map_or(until, |again| again.min(until));
                sim.settle(false);
                sim.end_active(Phase::Completed);
                sim.settle(false);
            }
        }
        let cron = sim.cron.clone().unwrap();
        let mut slot = at("2026-03-27T10:00:00Z");
        let reached = sim.schedule.status.as_ref().unwrap().not_before.clone().unwrap().0;
        while let Some(next) = cron.next_after(slot).filter(|next| *next <= reached) {
            slots.push(next);
            slot = next;
        }
        let started: Vec<_> = sim.started_slots.iter().map(|(slot, _)| *slot).collect();
        prop_assert_eq!(started, slots);
    }
}
