//! The machine's edges, one by one.

use super::*;

#[test]
fn the_gate_holds_a_pending_run_and_refuses_for_good() {
    let world = World::new(3);
    let turn = |gate: &Gate| {
        decide(Seen {
            sync: &world.sync,
            gate,
            hand: Hand::Empty,
            due: None,
            now: world.now,
        })
    };
    let why = Fault::new(Reason::ConnectionNotFound, "create it");
    assert_eq!(turn(&Gate::Shut(why.clone())), Action::Wait(why, LOOK_AGAIN));
    let refused = Fault::new(Reason::AuthenticationFailed, "correct the Secret");
    let Action::End(end) = turn(&Gate::Refused(refused)) else {
        panic!()
    };
    assert_eq!(
        (end.phase, end.reason),
        (Phase::Failed, Reason::AuthenticationFailed)
    );
}

#[test]
fn deletion_is_a_cancel_while_active_and_nothing_to_a_stranger() {
    let mut world = World::new(3);
    world.sync.metadata.deletion_timestamp = Some(Time(world.now));
    assert!(matches!(
        world.action(),
        Action::End(End {
            phase: Phase::Cancelled,
            ..
        })
    ));
    world.sync.metadata.finalizers = None;
    assert_eq!(world.action(), Action::Rest(None));
}

#[test]
fn time_to_live_on_both_edges() {
    let mut world = World::new(3);
    world.sync.spec.ttl_seconds_after_finished = Some(10);
    world.record_end(Phase::Completed, Reason::Completed);
    world.sync.metadata.finalizers = None;
    world.now = after(world.now, SignedDuration::from_secs(9));
    assert_eq!(world.action(), Action::Rest(Some(SignedDuration::from_secs(1))));
    world.now = after(world.now, SignedDuration::from_secs(1));
    assert_eq!(world.action(), Action::Delete);
}

#[test]
fn a_change_after_the_end_is_acknowledged_once() {
    let mut world = World::new(3);
    world.record_end(Phase::Completed, Reason::Completed);
    world.sync.metadata.finalizers = None;
    world.sync.metadata.generation = Some(2);
    assert_eq!(world.action(), Action::Acknowledge);
    let status = Next::of(&world.sync, world.now).acknowledged();
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2)));
    world.sync.status = Some(status);
    assert_eq!(world.action(), Action::Rest(None));
}

#[test]
fn an_unadopted_run_is_adopted_first() {
    let mut world = World::new(3);
    world.sync.metadata.finalizers = None;
    assert_eq!(world.action(), Action::Adopt);
}

#[test]
fn an_end_that_is_due_is_not_led_to_again() {
    let mut world = World::new(3);
    world.turn(Outcome::Good);
    let refused = Fault::new(Reason::ApiChanged, "html");
    let Verdict::End(due) = judge(&world.sync.spec, &world.status(), 1, &refused, world.now) else {
        panic!()
    };
    let turn = |world: &World| {
        decide(Seen {
            sync: &world.sync,
            gate: &Gate::Open,
            hand: world.hand,
            due: Some(&due),
            now: world.now,
        })
    };
    assert_eq!(turn(&world), Action::End(due.clone()), "not Fetch");
    world.sync.spec.cancel = true;
    let Action::End(end) = turn(&world) else { panic!() };
    assert_eq!(end.phase, Phase::Cancelled, "a person may still cancel");
}

#[test]
fn whatever_may_have_committed_is_cancelled_by_its_row_alone() {
    let cancel = |world: &World| {
        let mut world = world.clone();
        world.sync.spec.cancel = true;
        match world.action() {
            Action::End(end) => end.insist_until,
            other => panic!("{other:?}"),
        }
    };
    let mut world = World::new(3);
    assert_eq!(cancel(&world), None, "it never left Pending");
    world.turn(Outcome::Good);
    let insists = cancel(&world);
    assert_eq!(insists, Some(after(world.now, SignedDuration::from_secs(660))));
    world.turn(Outcome::Good);
    world.turn(Outcome::Passing);
    assert_eq!(
        (world.status().step, cancel(&world)),
        (None, insists),
        "between attempts"
    );
}

#[test]
fn a_status_stays_under_four_kibibytes() {
    let world = World::new(3);
    let long = Fault::new(Reason::DatabaseRightsMissing, "é".repeat(5000));
    let mut sync = world.sync.clone();
    sync.status = Some(Next::of(&sync, world.now).opened(1, Some(1)));
    sync.status = Some(Next::of(&sync, world.now).retrying(1, Step::Apply, &long, world.now));
    let ending = Ending {
        reading: None,
        phase: Phase::Failed,
        reason: long.reason,
        message: long.message,
        counts: None,
        duration_ms: None,
        withheld: None,
    };
    let status = Next::of(&sync, world.now).ended(&ending, Some(Step::Apply));
    assert!(serde_json::to_vec(&status).unwrap().len() < 4096);
}
