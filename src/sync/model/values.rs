//! The values of the model's states: interned statuses and terminations, faults, and the instants of the clock.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;

use crate::api::reason::Reason;
use crate::api::sync::{Phase, Step, TaranaSyncStatus};
use crate::fault::Fault;
use crate::sync::machine::{self, Termination};

/// Seconds since [`START`].
pub(super) type Second = i64;

/// Epoch second at which the model starts.
const START: Second = 1_800_000_000;

/// An interned value, compared by its number, so that states are small and fast to compare.
pub(super) struct Interned<T: 'static> {
    id: usize,
    pub(super) value: &'static T,
}

/// A status of the object.
pub(super) type InternedStatus = Interned<TaranaSyncStatus>;
/// An end without a commit.
pub(super) type InternedTermination = Interned<Termination>;

impl<T> Clone for Interned<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Interned<T> {}

impl<T> std::fmt::Debug for Interned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.id)
    }
}

impl<T> PartialEq for Interned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T> Eq for Interned<T> {}

impl<T> PartialOrd for Interned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Interned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl<T> Hash for Interned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<T> std::ops::Deref for Interned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

/// All values of a type, by their `Debug` text.
pub(super) struct InternTable<T: 'static>(Mutex<HashMap<String, Interned<T>>>);

impl<T: std::fmt::Debug> InternTable<T> {
    pub(super) fn intern(&self, value: T) -> Interned<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = known.len();
        *known.entry(format!("{value:?}")).or_insert_with(|| Interned {
            id,
            // States refer to it for as long as the test runs.
            value: Box::leak(Box::new(value)),
        })
    }
}

pub(super) static STATUSES: LazyLock<InternTable<TaranaSyncStatus>> =
    LazyLock::new(|| InternTable(Mutex::default()));
pub(super) static TERMINATIONS: LazyLock<InternTable<Termination>> =
    LazyLock::new(|| InternTable(Mutex::default()));

/// A fault that an effect can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FaultKind {
    /// The connection has not been probed yet.
    Unverified,
    /// Another process owns the run.
    Superseded,
    /// Another run precedes it.
    Queued,
    /// A transient fault.
    Transient,
    /// A lock timeout.
    Busy,
    /// A permanent fault.
    Permanent,
    /// The end waits until the log row is closed.
    RowNotClosed,
}

impl FaultKind {
    pub fn fault(self) -> Fault {
        let reason = match self {
            Self::Unverified => Reason::ConnectionNotReady,
            Self::Superseded => Reason::Superseded,
            Self::Queued => Reason::Queued,
            Self::Transient | Self::RowNotClosed => Reason::DatabaseUnreachable,
            Self::Busy => Reason::DatabaseBusy,
            Self::Permanent => Reason::ApiChanged,
        };
        Fault::new(reason, format!("{self:?}"))
    }
}

/// A transition of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Transition {
    Waiting(FaultKind),
    Opened {
        attempt: i32,
        fence: Option<i64>,
    },
    Applying,
    Retrying {
        attempt: i32,
        step: Step,
        why: FaultKind,
        next: Second,
    },
    Ended(ResultSource, Option<Step>),
}

/// Where the result of a run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ResultSource {
    /// A log row that this process did not close.
    Row(Closed),
    /// The log row after this process closed it.
    Close(Closed, InternedTermination),
    /// The machine alone.
    NoRow(InternedTermination),
}

/// How a row was closed: with this termination, or (`None`) by a commit.
pub(super) type Closed = Option<InternedTermination>;

/// The status of a new object.
pub(super) fn default_status() -> InternedStatus {
    STATUSES.intern(TaranaSyncStatus::default())
}

/// The termination of a run that had not started, by the sweeper.
pub(super) fn deleted() -> InternedTermination {
    TERMINATIONS.intern(Termination {
        phase: Phase::Cancelled,
        reason: Reason::Cancelled,
        message: machine::OBJECT_DELETED.to_owned(),
        row_close_deadline: None,
    })
}

/// The termination of a run that had started, by the sweeper.
pub(super) fn abandoned() -> InternedTermination {
    TERMINATIONS.intern(Termination {
        phase: Phase::Failed,
        reason: Reason::Abandoned,
        message: "swept".into(),
        row_close_deadline: None,
    })
}

/// The relevant instants: the start; after every backoff; past the deadline; past the grace period for closing the row.
pub(super) const INSTANTS: [Second; 4] = [0, 40, 640, 700];

/// The instant as a timestamp.
pub(super) fn at(second: Second) -> Timestamp {
    Timestamp::from_second(START + second).unwrap_or_default()
}

/// The timestamp as an instant.
pub(super) fn second(timestamp: Timestamp) -> Second {
    timestamp.as_second() - START
}
