//! Calls of the operator's own functions: converts between the values of the model and theirs, and memoizes, because the same
//! call occurs in many states.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::values::{
    Closed, FaultKind, InternedStatus, InternedTermination, ResultSource, STATUSES, Second, TERMINATIONS,
    Transition, at, second,
};
use super::world::{Object, Open};
use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync, TaranaSyncSpec};
use crate::station::RunCounts;
use crate::store::{self, Outcome};
use crate::sync::machine::{self, Action, AttemptState, Gate, Observed, RetryDecision};
use crate::sync::status::StatusBuilder;
use crate::sync::{log_row, record, results};

/// The arguments of `machine::decide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DecideArguments {
    pub object: Object,
    pub gate: Result<(), FaultKind>,
    pub attempt: (bool, bool),
    pub pending_end: Option<InternedTermination>,
    pub now: Second,
    pub backoff_limit: i32,
}

/// A memoization table.
struct Memory<K, V>(RefCell<HashMap<K, V>>);

impl<K: Hash + Eq + Copy, V: Clone> Memory<K, V> {
    fn get_or_compute(&self, key: K, compute: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.borrow().get(&key) {
            return known.clone();
        }
        let value = compute();
        self.0.borrow_mut().insert(key, value.clone());
        value
    }
}

thread_local! {
    static DECISIONS: Memory<DecideArguments, ModelAction> = Memory(RefCell::default());
    static BUILT_STATUSES: Memory<(Object, Transition, Second), InternedStatus> = Memory(RefCell::default());
    static RETRY_DECISIONS: Memory<(Object, i32, FaultKind, Second, i32), ModelRetryDecision> = Memory(RefCell::default());
}

/// [`Action`] in the values of the model. The scheduler may requeue at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ModelAction {
    Idle { timer: bool },
    AddFinalizer,
    Wait(FaultKind),
    Open(Open),
    Fetch,
    Apply,
    Terminate(InternedTermination),
    Finalize,
}

/// [`RetryDecision`] in the values of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ModelRetryDecision {
    Retry(Second),
    Terminate(InternedTermination),
}

/// `machine::decide`.
pub(super) fn decide(arguments: DecideArguments) -> ModelAction {
    DECISIONS.with(|m| {
        m.get_or_compute(arguments, || {
            let sync = sync(&arguments.object, arguments.backoff_limit);
            let gate = arguments
                .gate
                .map_or_else(|why| Gate::Blocked(why.fault()), |()| Gate::Open);
            let attempt = match arguments.attempt {
                (false, _) => AttemptState::NotOwned,
                (true, false) => AttemptState::Opened,
                (true, true) => AttemptState::Fetched,
            };
            let observed = Observed {
                sync: &sync,
                gate: &gate,
                attempt,
                pending_end: arguments.pending_end.map(|end| end.value),
                now: at(arguments.now),
            };
            match machine::decide(observed) {
                Action::Requeue(_) => ModelAction::Idle { timer: true },
                Action::AddFinalizer => ModelAction::AddFinalizer,
                Action::Wait(..) => ModelAction::Wait(arguments.gate.unwrap_err()),
                Action::Open { attempt, resumed } => ModelAction::Open(Open { attempt, resumed }),
                Action::Fetch => ModelAction::Fetch,
                Action::Apply => ModelAction::Apply,
                Action::Terminate(end) => ModelAction::Terminate(TERMINATIONS.intern(end)),
                Action::Finalize => ModelAction::Finalize,
                // The model does not distinguish generations after the end.
                Action::AwaitChange | Action::ObserveGeneration => ModelAction::Idle { timer: false },
                Action::Delete => unreachable!("no run of the model has a time to live"),
            }
        })
    })
}

/// `machine::retry_decision`.
pub(super) fn retry_decision(
    object: &Object,
    attempt: i32,
    why: FaultKind,
    now: Second,
    backoff_limit: i32,
) -> ModelRetryDecision {
    RETRY_DECISIONS.with(|m| {
        m.get_or_compute((*object, attempt, why, now, backoff_limit), || {
            let sync = sync(object, backoff_limit);
            match machine::retry_decision(&sync.spec, &object.status, attempt, &why.fault(), at(now)) {
                RetryDecision::Retry(next) => ModelRetryDecision::Retry(second(next)),
                RetryDecision::Terminate(end) => ModelRetryDecision::Terminate(TERMINATIONS.intern(end)),
            }
        })
    })
}

/// Whether the run is past `machine::deadline`.
pub(super) fn is_expired(object: &Object, now: Second) -> bool {
    at(now) >= machine::deadline(&DEFAULTS, &object.status, at(now))
}

/// Whether a termination still waits for its log row.
pub(super) fn awaits_row_close(end: InternedTermination, now: Second) -> bool {
    end.row_close_deadline.is_some_and(|t| at(now) < t)
}

/// `log_row::close_request`: whether a fence is needed to close the row for this end.
pub(super) fn closing_fence(end: InternedTermination, object: &Object, fence: Option<i64>) -> Option<i64> {
    log_row::close_request(&end, &object.status, fence, None).fence
}

/// The status after a transition, by `status::StatusBuilder` and `results`.
pub(super) fn status(object: &Object, transition: Transition, now: Second) -> InternedStatus {
    BUILT_STATUSES.with(|m| {
        m.get_or_compute((*object, transition, now), || {
            let sync = sync(object, 0);
            let next = StatusBuilder::new(&sync, at(now));
            STATUSES.intern(match transition {
                Transition::Waiting(why) => next.waiting(&why.fault()),
                Transition::Opened { attempt, fence } => next.opened(attempt, fence),
                Transition::Applying => next.applying(1, None),
                Transition::Retrying {
                    attempt,
                    step,
                    why,
                    next: next_attempt,
                } => next.retrying(attempt, step, &why.fault(), at(next_attempt)),
                Transition::Ended(source, step) => next.ended(
                    &match source {
                        ResultSource::Row(closed) => results::from_row(&closed_row(closed), &sync),
                        ResultSource::Close(closed, end) => {
                            results::from_close(&closed_row(closed), &end, &sync)
                        }
                        ResultSource::NoRow(end) => results::without_row(&end),
                    },
                    step,
                ),
            })
        })
    })
}

/// Whether a write may continue after a conflict, by `record::status_without_progress`.
pub(super) fn same_status_without_progress(a: &Object, b: &Object) -> bool {
    a.status == b.status
        || record::status_without_progress(&sync(a, 0)) == record::status_without_progress(&sync(b, 0))
}

fn closed_row(closed: Closed) -> store::ClosedRow {
    let reason = closed.map_or(Reason::Completed, |end| end.reason);
    store::ClosedRow {
        outcome: match closed.map(|end| end.phase) {
            None => Outcome::Completed,
            Some(Phase::Cancelled) => Outcome::Cancelled,
            Some(_) => Outcome::Failed,
        },
        counts: RunCounts::default(),
        duration_ms: 1,
        reason: Some(reason.to_string()),
        message: closed.map(|end| end.message.clone()),
        completed_at: Timestamp::UNIX_EPOCH,
        reading: None,
    }
}

fn sync(object: &Object, backoff_limit: i32) -> TaranaSync {
    let spec = TaranaSyncSpec {
        backoff_limit,
        cancel: object.cancel,
        ..DEFAULTS.clone()
    };
    let mut sync = TaranaSync::new("run", spec);
    // A change of the spec and a deletion each increase the generation.
    sync.metadata.generation = Some(1 + i64::from(object.cancel) + i64::from(object.deleting));
    sync.metadata.deletion_timestamp = object.deleting.then(|| Time(at(0)));
    sync.metadata.finalizers = object.finalizer.then(|| vec![machine::FINALIZER.to_owned()]);
    sync.status = Some((*object.status).clone());
    sync
}

static DEFAULTS: LazyLock<TaranaSyncSpec> =
    LazyLock::new(|| serde_json::from_str("{}").expect("a spec has a default for every field"));
