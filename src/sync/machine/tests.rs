//! Every sequence of outcomes through the machine, and its edges as a table.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::sync::Step;
use crate::station::Counts;
use crate::sync::status::{Ending, Next};

mod edges;

/// What can come of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The step did what it should.
    Good,
    /// It failed with a fault that may pass.
    Passing,
    /// It failed with a fault that will not.
    Lasting,
    /// The process died after the effect, before it was recorded; another one goes on.
    Crash,
    /// A person sets `spec.cancel` meanwhile.
    Cancel,
    /// The deadline passes meanwhile.
    Late,
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Good,
    Outcome::Passing,
    Outcome::Lasting,
    Outcome::Crash,
    Outcome::Cancel,
    Outcome::Late,
];

/// One run in a world of which only the machine is real.
#[derive(Clone)]
struct World {
    sync: TaranaSync,
    hand: Hand,
    now: Timestamp,
    /// The log row says completed: the transaction of Apply was committed.
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
            hand: Hand::Empty,
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
        let action = decide(Seen {
            sync: &self.sync,
            gate: &Gate::Open,
            hand: self.hand,
            due: None,
            now: self.now,
        });
        let rests = action == Action::Rest(None);
        assert_eq!(
            is_settled(&self.sync, self.now),
            rests,
            "{action:?} of {:?}",
            self.sync
        );
        action
    }

    fn end(&mut self, end: &End) {
        // The log row has the last word, as in the store.
        let (phase, reason) = if self.committed {
            (Phase::Completed, Reason::Completed)
        } else {
            (end.phase, end.reason)
        };
        self.record_end(phase, reason);
    }

    fn record_end(&mut self, phase: Phase, reason: Reason) {
        let counts = self.committed.then(Counts::default);
        let ending = Ending {
            reading: None,
            phase,
            reason,
            message: "why".into(),
            counts,
            duration_ms: Some(1),
            withheld: None,
        };
        self.sync.status = Some(Next::of(&self.sync, self.now).ended(&ending, self.status().step));
        self.ends += 1;
    }

    fn fail(&mut self, attempt: i32, step: Step, reason: Reason) {
        self.hand = Hand::Empty;
        let fault = Fault::new(reason, "x");
        match judge(&self.sync.spec, &self.status(), attempt, &fault, self.now) {
            Verdict::Retry(at) => {
                self.sync.status = Some(Next::of(&self.sync, self.now).retrying(attempt, step, &fault, at));
            }
            Verdict::End(end) => self.end(&end),
        }
    }

    /// One turn with this outcome. Returns whether the run rests for good.
    fn turn(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Cancel => self.sync.spec.cancel = true,
            Outcome::Late => self.now = after(self.now, SignedDuration::from_secs(601)),
            _ => {}
        }
        match self.action() {
            Action::Rest(Some(d)) => self.now = after(self.now, d),
            Action::Rest(None) => return true,
            Action::Announce => self.sync.metadata.finalizers = None,
            Action::End(end) => self.end(&end),
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
            Outcome::Passing => self.fail(attempt, Step::Open, Reason::DatabaseUnreachable),
            Outcome::Lasting => self.fail(attempt, Step::Open, Reason::DatabaseRefused),
            Outcome::Crash => self.hand = Hand::Empty,
            _ => {
                if !resumed {
                    self.opened.push(attempt);
                }
                self.hand = Hand::Opened;
                self.sync.status = Some(Next::of(&self.sync, self.now).opened(attempt, Some(1)));
            }
        }
    }

    fn step(&mut self, step: Step, outcome: Outcome) {
        let attempt = self.status().attempt;
        match (outcome, step) {
            (Outcome::Passing, _) => self.fail(attempt, step, Reason::ApiUnavailable),
            (Outcome::Lasting, _) => self.fail(attempt, step, Reason::ApiChanged),
            (Outcome::Crash, Step::Apply) => {
                self.committed = true;
                self.hand = Hand::Empty;
            }
            (Outcome::Crash, _) => self.hand = Hand::Empty,
            (_, Step::Apply) => {
                self.committed = true;
                self.record_end(Phase::Completed, Reason::Completed);
            }
            _ => {
                // Nothing is written: an Apply that lasts is told of while it lasts.
                self.hand = Hand::Fetched;
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

/// What holds after every turn.
fn check(before: &World, after: &World, path: &[Outcome]) {
    let (was, is) = (before.status(), after.status());
    assert!(
        rank(is.phase) >= rank(was.phase),
        "{path:?}: {:?} after {:?}",
        is.phase,
        was.phase
    );
    if was.phase.is_final() {
        assert_eq!(is.phase, was.phase, "{path:?}: an end changed");
    }
    assert!(
        is.attempt <= after.sync.spec.backoff_limit + 1,
        "{path:?}: attempt {}",
        is.attempt
    );
    assert!(is.attempt >= was.attempt, "{path:?}: attempts went back");
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
        next.turn(outcome);
        check(world, &next, path);
        explore(&next, path, left - 1, seen);
        path.pop();
    }
}

/// From here on all goes well: the run must end, once.
fn finish(mut world: World, path: &[Outcome]) {
    for _ in 0..30 {
        let before = world.clone();
        let rests = world.turn(Outcome::Good);
        check(&before, &world, path);
        if rests {
            let status = world.status();
            assert!(
                status.phase.is_final() && world.ends == 1,
                "{path:?}: rests in {:?}",
                status.phase
            );
            // Each attempt is opened once, in order, with none left out but those that failed while opening.
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
        world.turn(if open { Outcome::Good } else { Outcome::Passing });
    }
    assert_eq!(
        (world.opened.as_slice(), world.status().phase),
        ([1, 2, 3, 4].as_slice(), Phase::Failed)
    );
}

#[test]
fn a_restart_is_not_charged() {
    let mut world = World::new(0);
    world.turn(Outcome::Good);
    for _ in 0..5 {
        world.turn(Outcome::Crash);
        assert_eq!(
            world.action(),
            Action::Open {
                attempt: 1,
                resumed: true
            }
        );
        world.turn(Outcome::Good);
    }
    assert_eq!(
        (world.status().attempt, world.opened.as_slice()),
        (1, [1].as_slice())
    );
}

#[test]
fn pauses_double_up_to_the_most_and_heed_the_other_side() {
    let spec = spec();
    let fault = Fault::new(Reason::ApiThrottled, "");
    let seconds = |attempt, fault: &Fault| pause(&spec, attempt, fault).as_secs();
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
fn an_attempt_that_would_begin_after_the_deadline_is_not_awaited() {
    let world = World::new(3);
    let status = Next::of(&world.sync, world.now).opened(1, Some(1));
    let late = after(world.now, SignedDuration::from_secs(590));
    let verdict = judge(
        &world.sync.spec,
        &status,
        1,
        &Fault::new(Reason::ApiUnavailable, "503"),
        late,
    );
    let Verdict::End(end) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((end.phase, end.reason), (Phase::Failed, Reason::DeadlineExceeded));
    assert!(end.message.contains("ApiUnavailable: 503"), "{}", end.message);
}
