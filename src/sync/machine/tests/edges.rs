//! Edge cases of the machine.

use super::*;

#[test]
fn a_blocked_gate_waits_and_a_rejected_one_fails_the_run() {
    let world = World::new(3);
    let decide_at = |gate: &Gate| {
        decide(Observed {
            sync: &world.sync,
            gate,
            attempt: AttemptState::NotOwned,
            pending_end: None,
            now: world.now,
        })
    };
    let why = Fault::new(Reason::ConnectionNotFound, "create it");
    assert_eq!(
        decide_at(&Gate::Blocked(why.clone())),
        Action::Wait(why, GATE_RECHECK)
    );
    let rejected = Fault::new(Reason::AuthenticationFailed, "correct the Secret");
    let Action::Terminate(end) = decide_at(&Gate::Rejected(rejected)) else {
        panic!()
    };
    assert_eq!(
        (end.phase, end.reason),
        (Phase::Failed, Reason::AuthenticationFailed)
    );
}

#[test]
fn deletion_cancels_an_active_run_only() {
    let mut world = World::new(3);
    world.sync.metadata.deletion_timestamp = Some(Time(world.now));
    assert!(matches!(
        world.action(),
        Action::Terminate(Termination {
            phase: Phase::Cancelled,
            ..
        })
    ));
    world.sync.metadata.finalizers = None;
    assert_eq!(world.action(), Action::AwaitChange);
}

#[test]
fn time_to_live_at_both_edges() {
    let mut world = World::new(3);
    world.sync.spec.ttl_seconds_after_finished = Some(10);
    world.record_end(Phase::Completed, Reason::Completed);
    world.sync.metadata.finalizers = None;
    world.now = after(world.now, SignedDuration::from_secs(9));
    assert_eq!(world.action(), Action::Requeue(SignedDuration::from_secs(1)));
    world.now = after(world.now, SignedDuration::from_secs(1));
    assert_eq!(world.action(), Action::Delete);
}

#[test]
fn a_spec_change_after_the_end_is_observed_once() {
    let mut world = World::new(3);
    world.record_end(Phase::Completed, Reason::Completed);
    world.sync.metadata.finalizers = None;
    world.sync.metadata.generation = Some(2);
    assert_eq!(world.action(), Action::ObserveGeneration);
    let status = StatusBuilder::new(&world.sync, world.now).observed();
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2)));
    world.sync.status = Some(status);
    assert_eq!(world.action(), Action::AwaitChange);
}

#[test]
fn a_run_gets_its_finalizer_when_it_starts() {
    let mut world = World::new(3);
    world.sync.metadata.finalizers = None;
    assert_eq!(world.action(), Action::AddFinalizer);
    let why = Fault::new(Reason::Queued, "waits");
    let waiting = decide(Observed {
        sync: &world.sync,
        gate: &Gate::Blocked(why.clone()),
        attempt: AttemptState::NotOwned,
        pending_end: None,
        now: world.now,
    });
    assert_eq!(
        waiting,
        Action::Wait(why, QUEUE_RECHECK),
        "a run that waits has none"
    );
    world.sync.spec.cancel = true;
    assert!(
        matches!(world.action(), Action::Terminate(_)),
        "nor does one that never starts"
    );
}

#[test]
fn a_pending_end_is_not_repeated() {
    let mut world = World::new(3);
    world.reconcile(Outcome::Success);
    let rejected = Fault::new(Reason::ApiTlsFailed, "expired");
    let RetryDecision::Terminate(pending_end) =
        retry_decision(&world.sync.spec, &world.status(), 1, &rejected, world.now)
    else {
        panic!()
    };
    let decide_at = |world: &World| {
        decide(Observed {
            sync: &world.sync,
            gate: &Gate::Open,
            attempt: world.attempt,
            pending_end: Some(&pending_end),
            now: world.now,
        })
    };
    assert_eq!(
        decide_at(&world),
        Action::Terminate(pending_end.clone()),
        "not Fetch"
    );
    world.sync.spec.cancel = true;
    let Action::Terminate(end) = decide_at(&world) else {
        panic!()
    };
    assert_eq!(end.phase, Phase::Cancelled, "it can still be cancelled");
}

#[test]
fn a_run_that_may_have_committed_is_cancelled_by_its_row_only() {
    let cancel = |world: &World| {
        let mut world = world.clone();
        world.sync.spec.cancel = true;
        match world.action() {
            Action::Terminate(end) => end.row_close_deadline,
            other => panic!("{other:?}"),
        }
    };
    let mut world = World::new(3);
    assert_eq!(cancel(&world), None, "it never left Pending");
    world.reconcile(Outcome::Success);
    let awaits_row_close = cancel(&world);
    assert_eq!(
        awaits_row_close,
        Some(after(world.now, SignedDuration::from_secs(660)))
    );
    world.reconcile(Outcome::Success);
    world.reconcile(Outcome::Transient);
    assert_eq!(
        (world.status().step, cancel(&world)),
        (None, awaits_row_close),
        "between attempts"
    );
}

#[test]
fn a_status_stays_below_4_kib() {
    let world = World::new(3);
    let long = Fault::new(Reason::DatabaseRightsMissing, "é".repeat(5000));
    let mut sync = world.sync.clone();
    sync.status = Some(StatusBuilder::new(&sync, world.now).opened(1, Some(1)));
    sync.status = Some(StatusBuilder::new(&sync, world.now).retrying(1, Step::Apply, &long, world.now));
    let ending = RunResult {
        reading: None,
        phase: Phase::Failed,
        reason: long.reason,
        message: long.message,
        counts: None,
        duration_ms: None,
        withheld: None,
    };
    let status = StatusBuilder::new(&sync, world.now).ended(&ending, Some(Step::Apply));
    assert!(serde_json::to_vec(&status).unwrap().len() < 4096);
}
