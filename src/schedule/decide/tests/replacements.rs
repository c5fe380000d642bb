//! Scenarios: a schedule that is created again, requested runs beside the policies, and suspensions with a reason.

use super::request;
use super::simulation::{Simulation, at};
use crate::api::condition::{self, READY};
use crate::api::reason::Reason;
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::{Phase, TriggerType};

const HOUR: i64 = 3600;

/// An hourly schedule at 10:00, before its first slot.
fn hourly() -> Simulation {
    let mut sim = Simulation::new("0 * * * *");
    sim.settle(false);
    sim
}

fn next_slot(sim: &Simulation) -> String {
    let status = sim.schedule.status.as_ref().unwrap();
    status.next_schedule_time.as_ref().unwrap().0.to_string()
}

#[test]
fn a_schedule_that_is_created_again_within_its_slot_does_not_start_it_again() {
    // At 11:00:05 by the operator's clock. The API server's clock may be before the slot.
    for (behind, status_is_restored) in [(0, false), (30, false), (0, true), (30, true)] {
        let mut sim = hourly();
        sim.wait(HOUR);
        sim.settle(false);
        sim.wait(5);
        sim.replace(behind, status_is_restored);
        sim.settle(false);
        assert_eq!(sim.started_slots.len(), 1, "{behind}, {status_is_restored}");
        assert_eq!(next_slot(&sim), "2026-03-27T12:00:00Z");
        sim.wait(HOUR);
        sim.settle(false);
        assert_eq!(sim.started_slots.len(), 2);
    }
}

#[test]
fn a_restored_status_starts_no_slot_from_before_the_restore() {
    let mut sim = hourly();
    request(&mut sim, "2026-03-27T12:00:00Z");
    // The backup is three hours old, and the newest of these slots is within its deadline.
    sim.wait(3 * HOUR + 60);
    sim.fail_over();
    sim.replace(0, true);
    for _ in 0..3 {
        sim.settle(false);
    }
    assert!(sim.started_slots.is_empty() && sim.requested == 0);
    assert!(
        sim.slots().is_empty() && sim.events.is_empty(),
        "{:?}",
        sim.events
    );
    assert_eq!(next_slot(&sim), "2026-03-27T14:00:00Z");
    sim.assert_condition(READY, "True", Reason::Scheduled);
}

#[test]
fn a_requested_run_neither_costs_a_slot_its_run_nor_is_cancelled_by_it() {
    for policy in [ConcurrencyPolicy::Forbid, ConcurrencyPolicy::Replace] {
        let mut sim = hourly();
        sim.edit(|s| s.spec.concurrency_policy = policy);
        request(&mut sim, "2026-03-27T10:00:01Z");
        sim.settle(false);
        sim.wait(HOUR);
        sim.settle(false);
        assert_eq!(sim.requested, 1);
        assert_eq!(sim.slots(), ["11:00 Ran RunCreated nightly-29576820"]);
        let status = sim.schedule.status.as_ref().unwrap();
        assert_eq!(status.active.len(), 2, "{policy:?}: {:?}", status.active);
        // At the next slot the policy applies to the run of the slot.
        sim.wait(HOUR);
        sim.settle(false);
        let requested = sim
            .runs
            .iter()
            .find(|run| run.spec.trigger.type_ == TriggerType::Manual);
        assert!(!requested.unwrap().spec.cancel);
        let expected = match policy {
            ConcurrencyPolicy::Forbid => "12:00 Skipped RunActive nightly-29576820",
            ConcurrencyPolicy::Replace => "12:00 Ran RunCreated nightly-29576880",
        };
        assert_eq!(sim.slots()[1], expected);
    }
}

#[test]
fn a_suspension_shows_its_reason() {
    let mut sim = hourly();
    sim.edit(|s| {
        s.spec.suspend = true;
        s.spec.suspend_reason = Some(" maintenance of tower 7 ".into());
    });
    sim.settle(false);
    let message = |sim: &Simulation| {
        let conditions = &sim.schedule.status.as_ref().unwrap().conditions;
        condition::find(conditions, READY).unwrap().message.clone()
    };
    assert!(message(&sim).starts_with("maintenance of tower 7 (spec.suspend is set"));
    assert_eq!(sim.events.last().unwrap().note, message(&sim));
    // A reason without a suspension has no effect.
    sim.edit(|s| s.spec.suspend = false);
    sim.settle(false);
    assert_eq!(sim.event_reasons(), [Reason::Suspended, Reason::Resumed]);
    assert_eq!(message(&sim), "each slot starts a run");
    sim.edit(|s| {
        s.spec.suspend = true;
        s.spec.suspend_reason = Some(" ".into());
    });
    sim.settle(false);
    assert!(message(&sim).starts_with("spec.suspend is set"));
}

#[test]
fn slots_after_a_replacement_are_caught_up_like_any_other() {
    let mut sim = hourly();
    sim.wait(HOUR);
    sim.settle(false);
    sim.end_active(Phase::Completed);
    sim.wait(60);
    sim.replace(0, false);
    // No operator is running when the schedule is created again.
    sim.fail_over();
    sim.wait(HOUR);
    sim.settle(false);
    let started: Vec<_> = sim.started_slots.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(started, [at("2026-03-27T11:00:00Z"), at("2026-03-27T12:00:00Z")]);
}
