//! Random sequences of whatever may happen to a schedule.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{World, at};
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::Phase;

/// What may happen to a schedule.
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

fn happen(world: &mut World, event: &Event) -> bool {
    let mut crash = false;
    match *event {
        Event::Wait(seconds) | Event::Down(seconds) | Event::Clock(seconds) => world.wait(seconds),
        Event::Crash(seconds) => {
            world.wait(seconds);
            crash = true;
        }
        Event::Pattern(n) => world.edit(|s| s.spec.schedule = PATTERNS[n].into()),
        Event::Deadline(seconds) => world.edit(|s| s.spec.starting_deadline_seconds = seconds),
        Event::Jitter(seconds) => world.edit(|s| {
            s.spec.jitter_seconds = seconds.min(s.spec.starting_deadline_seconds);
        }),
        Event::Suspend(suspend) => world.edit(|s| s.spec.suspend = suspend),
        Event::Policy(replace) => world.edit(|s| {
            s.spec.concurrency_policy = if replace {
                ConcurrencyPolicy::Replace
            } else {
                ConcurrencyPolicy::Forbid
            };
        }),
        Event::Ends(well) => world.end_all(if well { Phase::Completed } else { Phase::Failed }),
    }
    world.settle(crash);
    // An edit of the jitter may bring a slot that was held back forward: it was due by the clock already.
    let passed = matches!(
        event,
        Event::Wait(_)
            | Event::Down(_)
            | Event::Clock(_)
            | Event::Crash(_)
            | Event::Ends(_)
            | Event::Jitter(_)
    );
    if crash {
        world.settle(false);
    }
    passed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Each slot at most once, none before `notBefore` or before its time, none because of an edit, and every moment ends.
    #[test]
    fn never_twice_and_never_by_surprise(pattern in 0..PATTERNS.len(), events in vec(event(), 1..60)) {
        let mut world = World::new(PATTERNS[pattern]);
        world.settle(false);
        for event in events {
            let known = world.started.len();
            let before = world.schedule.status.as_ref().and_then(|s| s.not_before.clone()).unwrap().0;
            let by_time = happen(&mut world, &event);
            let (begun, status) = (&world.started[known..], world.schedule.status.as_ref().unwrap());
            prop_assert!(by_time || begun.is_empty(), "{event:?} started {begun:?}");
            prop_assert!(status.not_before.as_ref().unwrap().0 >= before);
            let skipped = status.last_skipped.as_ref().map(|s| s.time.0);
            prop_assert!(!world.started.iter().any(|(slot, _)| Some(*slot) == skipped), "started and skipped");
            for (slot, moment) in begun {
                prop_assert!(*slot > before && slot <= moment, "{slot} after {before}, at {moment}");
                prop_assert_eq!(status.last_schedule_time.as_ref().map(|t| t.0), Some(*slot));
                let late = moment.duration_since(*slot).as_secs();
                prop_assert!(late <= i64::from(world.schedule.spec.starting_deadline_seconds));
            }
        }
        let slots: BTreeSet<_> = world.started.iter().map(|(slot, _)| slot).collect();
        prop_assert_eq!(slots.len(), world.started.len(), "a slot started two runs");
        prop_assert!(world.started.is_sorted_by_key(|(slot, _)| slot));
    }

    /// Never lost: with an operator that is there, and runs that end, each slot starts its run.
    #[test]
    fn none_is_lost(pattern in 0..4_usize, jitter in 0..3600_i32, waits in vec(1..3600_i64, 1..30)) {
        let mut world = World::new(PATTERNS[pattern]);
        world.edit(|s| s.spec.jitter_seconds = jitter);
        world.settle(false);
        let mut slots = Vec::new();
        for wait in waits {
            // It is woken in time.
            let until = world.now + SignedDuration::from_secs(wait);
            while world.now < until {
                let due = world.view().due(world.view().not_before()).unwrap();
                world.now = due.again.map_or(until, |again| again.min(until));
                world.settle(false);
                world.end_all(Phase::Completed);
                world.settle(false);
            }
        }
        let cron = world.cron.clone().unwrap();
        let mut slot = at("2026-03-27T10:00:00Z");
        let reached = world.schedule.status.as_ref().unwrap().not_before.clone().unwrap().0;
        while let Some(next) = cron.next_after(slot).filter(|next| *next <= reached) {
            slots.push(next);
            slot = next;
        }
        let started: Vec<_> = world.started.iter().map(|(slot, _)| *slot).collect();
        prop_assert_eq!(started, slots);
    }
}
