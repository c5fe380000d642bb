//! The operator's own functions as the model calls them: translated from the model's small values to theirs and back,
//! and remembered, since the same question is asked in a great many states.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::world::{Object, Open};
use crate::api::reason::Reason;
use crate::api::sync::{Step, TaranaSync, TaranaSyncSpec, TaranaSyncStatus};
use crate::fault::Fault;
use crate::station::Counts;
use crate::store::{self, Outcome};
use crate::sync::machine::{self, Action, End, Gate, Hand, Seen, Verdict};
use crate::sync::status::Next;
use crate::sync::{endings, record, steps};

/// Seconds since the world began.
pub(super) type Second = i64;

const DAWN: Second = 1_800_000_000;

/// A value that is told from others by its number, so that states which hold it are small and quickly compared.
pub(super) struct Known<T: 'static> {
    id: usize,
    value: &'static T,
}

/// A status of the object.
pub(super) type Status = Known<TaranaSyncStatus>;
/// An end without a commit.
pub(super) type Ending = Known<End>;

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Known<T> {}

impl<T> std::fmt::Debug for Known<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.id)
    }
}

impl<T> PartialEq for Known<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T> Eq for Known<T> {}

impl<T> PartialOrd for Known<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Known<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl<T> Hash for Known<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<T> std::ops::Deref for Known<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

/// All values of a kind, by what they say.
struct Book<T: 'static>(Mutex<HashMap<String, Known<T>>>);

impl<T: std::fmt::Debug> Book<T> {
    fn know(&self, value: T) -> Known<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = known.len();
        *known.entry(format!("{value:?}")).or_insert_with(|| Known {
            id,
            // As long as the test runs: states hold it.
            value: Box::leak(Box::new(value)),
        })
    }
}

static STATUSES: LazyLock<Book<TaranaSyncStatus>> = LazyLock::new(|| Book(Mutex::default()));
static ENDS: LazyLock<Book<End>> = LazyLock::new(|| Book(Mutex::default()));

/// What the other side answers, where it is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Why {
    /// The connection has not been tried yet.
    Unverified,
    /// Another process has the run.
    Superseded,
    /// Another run goes first.
    Queued,
    /// A fault that may pass.
    Passing,
    /// A lock that was not free in time.
    Busy,
    /// A fault that will not pass.
    Lasting,
    /// The end waits for its log row.
    RowFirst,
}

impl Why {
    pub fn fault(self) -> Fault {
        let reason = match self {
            Self::Unverified => Reason::ConnectionNotReady,
            Self::Superseded => Reason::Superseded,
            Self::Queued => Reason::Queued,
            Self::Passing | Self::RowFirst => Reason::DatabaseUnreachable,
            Self::Busy => Reason::DatabaseBusy,
            Self::Lasting => Reason::ApiChanged,
        };
        Fault::new(reason, format!("{self:?}"))
    }
}

/// A moment of a run that has a status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Moment {
    Waiting(Why),
    Opened {
        attempt: i32,
        fence: Option<i64>,
    },
    Applying,
    Retrying {
        attempt: i32,
        step: Step,
        why: Why,
        next: Second,
    },
    Ended(Told, Option<Step>),
}

/// Who tells of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Told {
    /// The log row, to a run that had not ended it itself.
    Row(Closed),
    /// The log row, to the run that closed it.
    Close(Closed, Ending),
    /// Nobody but the machine.
    Nobody(Ending),
}

/// How a row ended: with this end, or (none) with a commit.
pub(super) type Closed = Option<Ending>;

/// What the machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub object: Object,
    pub gate: Result<(), Why>,
    pub hand: (bool, bool),
    pub due: Option<Ending>,
    pub now: Second,
    pub backoff_limit: i32,
}

/// Answers by question.
struct Memory<K, V>(RefCell<HashMap<K, V>>);

impl<K: Hash + Eq + Copy, V: Clone> Memory<K, V> {
    fn recall(&self, key: K, work_out: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.borrow().get(&key) {
            return known.clone();
        }
        let value = work_out();
        self.0.borrow_mut().insert(key, value.clone());
        value
    }
}

thread_local! {
    static DECIDED: Memory<Question, Decided> = Memory(RefCell::default());
    static WRITTEN: Memory<(Object, Moment, Second), Status> = Memory(RefCell::default());
    static JUDGED: Memory<(Object, i32, Why, Second, i32), Judged> = Memory(RefCell::default());
}

/// [`Action`] in the model's values. What it rests for is left to the scheduler, which may wake it at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Decided {
    Rest { timer: bool },
    Adopt,
    Wait(Why),
    Open(Open),
    Fetch,
    Apply,
    End(Ending),
    Announce,
}

/// [`Verdict`] in the model's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Judged {
    Retry(Second),
    End(Ending),
}

/// The status of an object that nobody has touched.
pub(super) fn untouched() -> Status {
    STATUSES.know(TaranaSyncStatus::default())
}

/// `machine::decide`.
pub(super) fn decide(question: Question) -> Decided {
    DECIDED.with(|m| {
        m.recall(question, || {
            let sync = sync(&question.object, question.backoff_limit);
            let gate = question
                .gate
                .map_or_else(|why| Gate::Shut(why.fault()), |()| Gate::Open);
            let hand = match question.hand {
                (false, _) => Hand::Empty,
                (true, false) => Hand::Opened,
                (true, true) => Hand::Fetched,
            };
            let seen = Seen {
                sync: &sync,
                gate: &gate,
                hand,
                due: question.due.map(|end| end.value),
                now: at(question.now),
            };
            match machine::decide(seen) {
                Action::Rest(again) => Decided::Rest {
                    timer: again.is_some(),
                },
                Action::Adopt => Decided::Adopt,
                Action::Wait(..) => Decided::Wait(question.gate.unwrap_err()),
                Action::Open { attempt, resumed } => Decided::Open(Open { attempt, resumed }),
                Action::Fetch => Decided::Fetch,
                Action::Apply => Decided::Apply,
                Action::End(end) => Decided::End(ENDS.know(end)),
                Action::Announce => Decided::Announce,
                // The same end, said of another generation: nothing that the model tells apart.
                Action::Acknowledge => Decided::Rest { timer: false },
                Action::Delete => unreachable!("no run of the model has a time to live"),
            }
        })
    })
}

/// `machine::judge`.
pub(super) fn judge(object: &Object, attempt: i32, why: Why, now: Second, backoff_limit: i32) -> Judged {
    JUDGED.with(|m| {
        m.recall((*object, attempt, why, now, backoff_limit), || {
            let sync = sync(object, backoff_limit);
            match machine::judge(&sync.spec, &object.status, attempt, &why.fault(), at(now)) {
                Verdict::Retry(next) => Judged::Retry(next.as_second() - DAWN),
                Verdict::End(end) => Judged::End(ENDS.know(end)),
            }
        })
    })
}

/// Whether the run is late, by `machine::deadline`.
pub(super) fn is_late(object: &Object, now: Second) -> bool {
    at(now) >= machine::deadline(&DEFAULTS, &object.status, at(now))
}

/// Whether an end still waits for its log row.
pub(super) fn insists(end: Ending, now: Second) -> bool {
    end.insist_until.is_some_and(|t| at(now) < t)
}

/// `steps::closing`: whether a fence is needed to close the row for this end.
pub(super) fn closing_fence(end: Ending, object: &Object, fence: Option<i64>) -> Option<i64> {
    steps::closing(&end, &object.status, fence).fence
}

/// The status of a moment, by `status::Next` and `endings`.
pub(super) fn status(object: &Object, moment: Moment, now: Second) -> Status {
    WRITTEN.with(|m| {
        m.recall((*object, moment, now), || {
            let sync = sync(object, 0);
            let next = Next::of(&sync, at(now));
            STATUSES.know(match moment {
                Moment::Waiting(why) => next.waiting(&why.fault()),
                Moment::Opened { attempt, fence } => next.opened(attempt, fence),
                Moment::Applying => next.applying(1),
                Moment::Retrying {
                    attempt,
                    step,
                    why,
                    next: due,
                } => next.retrying(attempt, step, &why.fault(), at(due)),
                Moment::Ended(told, step) => next.ended(
                    &match told {
                        Told::Row(closed) => endings::of_row(&ended(closed), &sync),
                        Told::Close(closed, end) => endings::of_close(&ended(closed), &end, &sync),
                        Told::Nobody(end) => endings::without_row(&end),
                    },
                    step,
                ),
            })
        })
    })
}

/// Whether a write may go on after a conflict, by `record::essence`.
pub(super) fn same_essence(a: &Object, b: &Object) -> bool {
    a.status == b.status || record::essence(&sync(a, 0)) == record::essence(&sync(b, 0))
}

/// The end that a program outside of the runs gives to a row.
pub(super) fn abandoned() -> Ending {
    ENDS.know(End {
        phase: crate::api::sync::Phase::Failed,
        reason: Reason::Abandoned,
        message: "swept".into(),
        insist_until: None,
    })
}

fn ended(closed: Closed) -> store::Ended {
    let reason = closed.map_or(Reason::Completed, |end| end.reason);
    store::Ended {
        outcome: match closed.map(|end| end.phase) {
            None => Outcome::Completed,
            Some(crate::api::sync::Phase::Cancelled) => Outcome::Cancelled,
            Some(_) => Outcome::Failed,
        },
        counts: Counts::default(),
        duration_ms: 1,
        reason: Some(reason.to_string()),
        message: closed.map(|end| end.message.clone()),
        completed_at: Timestamp::UNIX_EPOCH,
        reading: None,
    }
}

fn at(second: Second) -> Timestamp {
    Timestamp::from_second(DAWN + second).unwrap_or_default()
}

fn sync(object: &Object, backoff_limit: i32) -> TaranaSync {
    let spec = TaranaSyncSpec {
        backoff_limit,
        cancel: object.cancel,
        ..DEFAULTS.clone()
    };
    let mut sync = TaranaSync::new("run", spec);
    // A change of the spec and a deletion are each a new generation.
    sync.metadata.generation = Some(1 + i64::from(object.cancel) + i64::from(object.leaving));
    sync.metadata.deletion_timestamp = object.leaving.then(|| Time(at(0)));
    sync.metadata.finalizers = object.held.then(|| vec![machine::FINALIZER.to_owned()]);
    sync.status = Some((*object.status).clone());
    sync
}

static DEFAULTS: LazyLock<TaranaSyncSpec> =
    LazyLock::new(|| serde_json::from_str("{}").expect("a spec has a default for every field"));

/// The instants that matter: now; after every pause of a retry or of one that was overtaken; past the deadline; past the
/// last word of the log row.
pub(super) const INSTANTS: [Second; 4] = [0, 40, 640, 700];
