//! Properties that hold for random sequences of events.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::simulation::{Simulation, at};
use crate::api::schedule::{ConcurrencyPolicy, SlotOutcome, TRIGGER_ANNOTATION, trigger_value};
use crate::api::sync::Phase;
use crate::cron::Cron;
use crate::schedule::history::active_slot_runs;

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
    /// The operator dies after it has created a run, and is down for some time.
    CrashAndDown(i64, i64),
    /// The operator reconciles some seconds later than it wanted to.
    WakeLate(i64),
    SlowCancel(bool),
    Refuses(bool),
    /// A run is requested with the annotation.
    Request,
    /// Another process takes over.
    FailOver,
    /// The schedule is deleted and created again some seconds later, maybe with its old status.
    Replace(i64, bool),
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
        2 => (1..7200_i64, 1..86400_i64).prop_map(|(wait, down)| Event::CrashAndDown(wait, down)),
        2 => (0..90_i64).prop_map(Event::WakeLate),
        1 => any::<bool>().prop_map(Event::SlowCancel),
        1 => any::<bool>().prop_map(Event::Refuses),
        1 => Just(Event::Request),
        1 => Just(Event::FailOver),
        1 => (0..90_i64, any::<bool>()).prop_map(|(seconds, restored)| Event::Replace(seconds, restored)),
    ]
}

/// What an event did.
struct Applied {
    /// Whether it may start a slot: an edit may not.
    may_start: bool,
    /// `notBefore` of a schedule that was created again, before any slot of it was handled.
    replaced: Option<Timestamp>,
}

/// Applies an edit of the spec.
fn edit(sim: &mut Simulation, event: &Event) {
    sim.edit(|s| match *event {
        Event::Pattern(n) => s.spec.schedule = PATTERNS[n].into(),
        Event::Deadline(seconds) => s.spec.starting_deadline_seconds = seconds,
        Event::Jitter(seconds) => s.spec.jitter_seconds = seconds,
        Event::Suspend(suspend) => s.spec.suspend = suspend,
        Event::Policy(true) => s.spec.concurrency_policy = ConcurrencyPolicy::Replace,
        Event::Policy(false) => s.spec.concurrency_policy = ConcurrencyPolicy::Forbid,
        _ => {}
    });
}

/// Deletes the schedule and creates it again, unless the clock is behind its last slot. Returns its new `notBefore`.
fn replace(sim: &mut Simulation, restored: bool) -> Option<Timestamp> {
    if sim.started_slots.iter().any(|(slot, _)| *slot > sim.now) {
        return None;
    }
    // Only the process that has started a slot knows that the API server's clock was behind.
    let behind = if sim.started_slot.is_some() { 60 } else { 0 };
    sim.replace(behind, restored);
    Some(sim.observed().not_before())
}

/// Applies an event.
fn apply(sim: &mut Simulation, event: &Event) -> Applied {
    let mut replaced = None;
    let mut crash = false;
    match *event {
        Event::Wait(seconds) | Event::Down(seconds) | Event::Clock(seconds) => sim.wait(seconds),
        Event::Crash(seconds) => {
            sim.wait(seconds);
            crash = true;
        }
        Event::CrashAndDown(seconds, down) => {
            sim.wait(seconds);
            sim.crash();
            sim.wait(down);
        }
        Event::WakeLate(seconds) => {
            let due = sim.observed().due_slots(sim.observed().not_before());
            sim.now = due.and_then(|due| due.requeue_at).unwrap_or(sim.now).max(sim.now);
            sim.wait(seconds);
        }
        Event::SlowCancel(slow) => sim.slow_cancel = slow,
        Event::Refuses(refuses) => sim.refuses = refuses,
        Event::Pattern(_) | Event::Deadline(_) | Event::Jitter(_) | Event::Suspend(_) | Event::Policy(_) => {
            edit(sim, event);
        }
        Event::Ends(well) => sim.end_active(if well { Phase::Completed } else { Phase::Failed }),
        Event::Request => {
            let value = trigger_value(sim.now, false, false);
            sim.schedule
                .annotations_mut()
                .insert(TRIGGER_ANNOTATION.into(), value);
        }
        Event::FailOver => sim.fail_over(),
        Event::Replace(seconds, restored) => {
            sim.wait(seconds);
            replaced = replace(sim, restored);
        }
    }
    sim.settle(crash);
    // Less jitter may start a slot that was delayed: its time had passed already. Another process retries a refused run at once.
    let may_start = matches!(
        event,
        Event::Wait(_)
            | Event::Down(_)
            | Event::Clock(_)
            | Event::Crash(_)
            | Event::CrashAndDown(..)
            | Event::WakeLate(_)
            | Event::Ends(_)
            | Event::Jitter(_)
            | Event::Refuses(_)
            | Event::FailOver
            // The API server's clock may be before a slot.
            | Event::Replace(..)
    );
    if crash {
        sim.fail_over();
        sim.settle(false);
    }
    Applied { may_start, replaced }
}

/// The newest 20 slots in `after < slot <= until`, newest first.
fn newest_slots(cron: &Cron, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let mut slots = Vec::new();
    let mut next = cron.newest_until(until);
    while let Some(slot) = next.filter(|slot| *slot > after && slots.len() < 20) {
        slots.push(slot);
        next = cron.newest_until(slot - SignedDuration::from_secs(1));
    }
    slots
}

proptest! {
    /// Each slot starts at most once, none before `notBefore` or before its time, none because of an edit.
    #[test]
    fn each_slot_starts_at_most_once_and_only_when_due(pattern in 0..PATTERNS.len(), events in vec(event(), 1..60)) {
        let mut sim = Simulation::new(PATTERNS[pattern]);
        sim.settle(false);
        for event in events {
            let count = sim.started_slots.len();
            let before = sim.schedule.status.as_ref().and_then(|s| s.not_before.clone()).unwrap().0;
            let Applied { may_start, replaced } = apply(&mut sim, &event);
            let before = replaced.unwrap_or(before);
            let (started, status) = (&sim.started_slots[count..], sim.schedule.status.as_ref().unwrap());
            prop_assert!(may_start || started.is_empty(), "{event:?} started {started:?}");
            prop_assert!(status.not_before.as_ref().unwrap().0 >= before);
            for (slot, time) in started {
                prop_assert!(*slot > before && slot <= time, "slot {slot} started at {time}, notBefore was {before}");
                let observed = sim.observed();
                let rules = observed.slot_rules().unwrap();
                let delay = time.duration_since(rules.start_time(*slot));
                prop_assert!(SignedDuration::ZERO <= delay && delay <= rules.starting_deadline);
            }
        }
        let slots: BTreeSet<_> = sim.started_slots.iter().map(|(slot, _)| slot).collect();
        prop_assert_eq!(slots.len(), sim.started_slots.len(), "a slot started two runs");
        prop_assert!(sim.started_slots.is_sorted_by_key(|(slot, _)| slot));
    }

    /// Each of the newest 20 slots since `notBefore` began has exactly one record, or is still to start. A slot is recorded as
    /// Ran if and only if a run was created.
    #[test]
    fn each_slot_has_one_record(pattern in 0..PATTERNS.len(), events in vec(event(), 1..60)) {
        let mut sim = Simulation::new(PATTERNS[pattern]);
        let mut since = sim.now;
        // The first slot that the status can know.
        let mut first_started = 0;
        sim.settle(false);
        for event in events {
            let before = sim.schedule.status.clone().unwrap();
            let was_suspended = sim.observed().was_suspended();
            let count = sim.started_slots.len();
            let replaced = apply(&mut sim, &event).replaced;
            let status = sim.schedule.status.as_ref().unwrap();
            let not_before = status.not_before.as_ref().unwrap().0;
            let is_resumed = was_suspended && !sim.schedule.spec.suspend;
            if let Some(replaced) = replaced {
                since = replaced;
                if !matches!(event, Event::Replace(_, true)) {
                    first_started = count;
                }
            } else if is_resumed || status.observed_schedule != before.observed_schedule {
                since = not_before;
            }
            for record in &status.recent_slots {
                let started = sim.started_slots.iter().any(|(slot, _)| *slot == record.time.0);
                prop_assert_eq!(started, record.outcome == SlotOutcome::Ran, "{:?}: {:?}", event, record);
            }
            let newest_started = sim.started_slots[first_started..].iter().map(|(slot, _)| *slot).max();
            prop_assert_eq!(status.last_schedule_time.as_ref().map(|t| t.0), newest_started);
            let due = sim.observed().due_slots(not_before);
            prop_assert_eq!(sim.observed().next_slot(not_before), due.and_then(|due| due.next));
            prop_assert!(serde_json::to_string(status).unwrap().len() < 4096);
            let Ok(cron) = &sim.cron else { continue };
            let recorded: Vec<_> = status.recent_slots.iter().map(|r| r.time.0).filter(|t| *t > since).collect();
            prop_assert_eq!(recorded, newest_slots(cron, since, not_before), "{:?}", event);
            let is_active = !active_slot_runs(&sim.runs).is_empty();
            let refusal = sim.observed().refusal_of_due_slot(not_before).cloned();
            let is_refused = refusal.is_some_and(|refusal| !refusal.retry_in.is_zero());
            let is_waiting = is_active || is_refused || sim.schedule.spec.suspend;
            for slot in newest_slots(cron, not_before, sim.now) {
                let is_delayed = sim.observed().slot_rules().unwrap().start_time(slot) > sim.now;
                prop_assert!(is_delayed || is_waiting, "{event:?}: the slot {slot} is forgotten");
            }
        }
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
