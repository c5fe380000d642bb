//! Exhaustive test of every sequence of outcomes, and tables of edge cases.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::sync::Step;
use crate::station::RunCounts;
use crate::sync::status::{RunResult, StatusBuilder};

mod edges;

/// The outcome of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The step succeeded.
    Success,
    /// It failed with a transient fault.
    Transient,
    /// It failed with a permanent fault.
    Permanent,
    /// The process crashed between the effect and its record; another one continues.
    Crash,
    /// A user set `spec.cancel`.
    Cancel,
    /// The deadline passed.
    Expired,
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Success,
    Outcome::Transient,
    Outcome::Permanent,
    Outcome::Crash,
    Outcome::Cancel,
    Outcome::Expired,
];

/// One run in a world in which only the machine is real.
#[derive(Clone)]
struct World {
    sync: TaranaSync,
    attempt: AttemptState,
    now: Timestamp,
    /// The Apply transaction was committed.
    committed: bool,
    opened: Vec<i32>,
    ends: u32,
}

impl World {
    fn new(backoff_limit: i32) -> Self {
        let mut sync = TaranaSync::new(
            "run",
            TaranaSyncSpec {
                backoff_limit,
                ..spec()
            },
        );
        sync.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self {
            sync,
            attempt: AttemptState::NotOwned,
            now,
            committed: false,
            opened: Vec::new(),
            ends: 0,
        }
    }

    fn status(&self) -> TaranaSyncStatus {
        self.sync.status.clone().unwrap_or_default()
    }

    fn action(&self) -> Action {
        let action = decide(Observed {
            sync: &self.sync,
            gate: &Gate::Open,
            attempt: self.attempt,
            pending_end: None,
            now: self.now,
        });
        let awaits_change = action == Action::AwaitChange;
        assert_eq!(
            is_settled(&self.sync, self.now),
            awaits_change,
            "{action:?} of {:?}",
            self.sync
        );
        action
    }

    fn end(&mut self, end: &Termination) {
        // The log row decides, as in the store.
        let (phase, reason) = if self.committed {
            (Phase::Completed, Reason::Completed)
        } else {
            (end.phase, end.reason)
        };
        self.record_end(phase, reason);
    }

    fn record_end(&mut self, phase: Phase, reason: Reason) {
        let counts = self.committed.then(RunCounts::default);
        let ending = RunResult {
            reading: None,
            phase,
            reason,
            message: "why".into(),
            counts,
            duration_ms: Some(1),
            withheld: None,
        };
        self.sync.status = Some(StatusBuilder::new(&self.sync, self.now).ended(&ending, self.status().step));
        self.ends += 1;
    }

    fn fail(&mut self, attempt: i32, step: Step, reason: Reason) {
        self.attempt = AttemptState::NotOwned;
        let fault = Fault::new(reason, "x");
        match retry_decision(&self.sync.spec, &self.status(), attempt, &fault, self.now) {
            RetryDecision::Retry(at) => {
                self.sync.status =
                    Some(StatusBuilder::new(&self.sync, self.now).retrying(attempt, step, &fault, at));
            }
            RetryDecision::Terminate(end) => self.end(&end),
        }
    }

    /// One reconcile with this outcome. Returns whether nothing is left to do.
    fn reconcile(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Cancel => self.sync.spec.cancel = true,
            Outcome::Expired => self.now = after(self.now, SignedDuration::from_secs(601)),
            _ => {}
        }
        match self.action() {
            Action::Requeue(d) => self.now = after(self.now, d),
            Action::AwaitChange => return true,
            Action::Finalize => self.sync.metadata.finalizers = None,
            Action::Terminate(end) => self.end(&end),
            Action::Open { attempt, resumed } => self.open(attempt, resumed, outcome),
            Action::Fetch => self.step(Step::Fetch, outcome),
            Action::Apply => self.step(Step::Apply, outcome),
            other => panic!("{other:?}"),
        }
        false
    }

    fn open(&mut self, attempt: i32, resumed: bool, outcome: Outcome) {
        if self.committed {
            return self.record_end(Phase::Completed, Reason::Completed);
        }
        match outcome {
            Outcome::Transient => self.fail(attempt, Step::Open, Reason::DatabaseUnreachable),
            Outcome::Permanent => self.fail(attempt, Step::Open, Reason::DatabaseRefused),
            Outcome::Crash => self.attempt = AttemptState::NotOwned,
            _ => {
                if !resumed {
                    self.opened.push(attempt);
                }
                self.attempt = AttemptState::Opened;
                self.sync.status = Some(StatusBuilder::new(&self.sync, self.now).opened(attempt, Some(1)));
            }
        }
    }

    fn step(&mut self, step: Step, outcome: Outcome) {
        let attempt = self.status().attempt;
        match (outcome, step) {
            (Outcome::Transient, _) => self.fail(attempt, step, Reason::ApiUnavailable),
            (Outcome::Permanent, _) => self.fail(attempt, step, Reason::ApiChanged),
            (Outcome::Crash, Step::Apply) => {
                self.committed = true;
                self.attempt = AttemptState::NotOwned;
            }
            (Outcome::Crash, _) => self.attempt = AttemptState::NotOwned,
            (_, Step::Apply) => {
                self.committed = true;
                self.record_end(Phase::Completed, Reason::Completed);
            }
            _ => {
                self.attempt = AttemptState::Fetched;
            }
        }
    }
}

fn spec() -> TaranaSyncSpec {
    serde_json::from_str("{}").unwrap()
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Pending => 0,
        Phase::Running => 1,
        _ => 2,
    }
}

/// Invariants of every transition.
fn check(before: &World, after: &World, path: &[Outcome]) {
    let (was, is) = (before.status(), after.status());
    assert!(
        rank(is.phase) >= rank(was.phase),
        "{path:?}: {:?} after {:?}",
        is.phase,
        was.phase
    );
    if was.phase.is_final() {
        assert_eq!(is.phase, was.phase, "{path:?}: a final phase changed");
    }
    assert!(
        is.attempt <= after.sync.spec.backoff_limit + 1,
        "{path:?}: attempt {}",
        is.attempt
    );
    assert!(is.attempt >= was.attempt, "{path:?}: the attempt decreased");
    assert!(after.ends <= 1, "{path:?}: ended {} times", after.ends);
    if after.committed && is.phase.is_final() {
        assert_eq!(is.phase, Phase::Completed, "{path:?}: a commit was denied");
    }
}

fn explore(world: &World, path: &mut Vec<Outcome>, left: usize, seen: &mut u64) {
    if left == 0 {
        *seen += 1;
        return finish(world.clone(), path);
    }
    for outcome in OUTCOMES {
        let mut next = world.clone();
        path.push(outcome);
        next.reconcile(outcome);
        check(world, &next, path);
        explore(&next, path, left - 1, seen);
        path.pop();
    }
}

/// Without further faults the run must end, once.
fn finish(mut world: World, path: &[Outcome]) {
    for _ in 0..30 {
        let before = world.clone();
        let rests = world.reconcile(Outcome::Success);
        check(&before, &world, path);
        if rests {
            let status = world.status();
            assert!(
                status.phase.is_final() && world.ends == 1,
                "{path:?}: rests in {:?}",
                status.phase
            );
            // Each attempt is opened once and in order, except those that failed while opening.
            assert!(
                world.opened.is_sorted_by(|a, b| a < b),
                "{path:?}: {:?}",
                world.opened
            );
            assert!(condition_is(&status, "Finished", "True"), "{path:?}");
            return;
        }
    }
    panic!("{path:?}: does not end");
}

fn condition_is(status: &TaranaSyncStatus, type_: &str, value: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|c| c.type_ == type_ && c.status == value)
}

#[test]
fn every_sequence_of_outcomes_ends_once() {
    let mut seen = 0;
    for backoff_limit in [0, 1, 3] {
        explore(&World::new(backoff_limit), &mut Vec::new(), 6, &mut seen);
    }
    assert_eq!(seen, 3 * 6_u64.pow(6));
}

#[test]
fn three_retries_mean_four_attempts() {
    let mut world = World::new(3);
    while !world.status().phase.is_final() {
        let open = matches!(world.action(), Action::Open { .. });
        world.reconcile(if open {
            Outcome::Success
        } else {
            Outcome::Transient
        });
    }
    assert_eq!(
        (world.opened.as_slice(), world.status().phase),
        ([1, 2, 3, 4].as_slice(), Phase::Failed)
    );
}

#[test]
fn a_restart_is_not_charged() {
    let mut world = World::new(0);
    world.reconcile(Outcome::Success);
    for _ in 0..5 {
        world.reconcile(Outcome::Crash);
        assert_eq!(
            world.action(),
            Action::Open {
                attempt: 1,
                resumed: true
            }
        );
        world.reconcile(Outcome::Success);
    }
    assert_eq!(
        (world.status().attempt, world.opened.as_slice()),
        (1, [1].as_slice())
    );
}

#[test]
fn backoff_doubles_up_to_the_maximum_and_respects_retry_after() {
    let spec = spec();
    let fault = Fault::new(Reason::ApiThrottled, "");
    let seconds = |attempt, fault: &Fault| backoff(&spec, attempt, fault).as_secs();
    assert_eq!(
        [1, 2, 3, 5, 6, 99].map(|a| seconds(a, &fault)),
        [15, 30, 60, 240, 300, 300]
    );
    let asked = fault.clone().retry_after(Duration::from_secs(400));
    assert_eq!(
        seconds(1, &asked),
        401,
        "no sooner than asked, whatever maxSeconds says"
    );
    assert!(seconds(1, &fault.retry_after(Duration::MAX)) > 1_000_000);
}

#[test]
fn an_attempt_that_would_start_after_the_deadline_ends_the_run() {
    let world = World::new(3);
    let status = StatusBuilder::new(&world.sync, world.now).opened(1, Some(1));
    let late = after(world.now, SignedDuration::from_secs(590));
    let verdict = retry_decision(
        &world.sync.spec,
        &status,
        1,
        &Fault::new(Reason::ApiUnavailable, "503"),
        late,
    );
    let RetryDecision::Terminate(end) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((end.phase, end.reason), (Phase::Failed, Reason::DeadlineExceeded));
    assert!(end.message.contains("ApiUnavailable: 503"), "{}", end.message);
}
