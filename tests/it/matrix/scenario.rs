//! Pure: the kinds of runs, and the disruptions of their effects.

use devenv::proxy::Moment;
use serde_json::{Value, json};

/// What happens when an effect is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disruption {
    /// The operator is killed and a new one started.
    Kill(Moment),
    /// The connection is closed. New connections work at once.
    Cut(Moment),
    /// The effect, or its response, is held for longer than the operator's timeout for the API server and TCS. A COMMIT has a
    /// longer timeout and is only delayed.
    Stall(Moment),
    /// A COMMIT, or its response, is held for longer than the operator's timeout for the database.
    StallCommit(Moment),
    /// The effect, or its response, is delayed within the operator's timeouts.
    Slow(Moment),
}

impl Disruption {
    /// Whether the effect is intercepted before or after the server processes it.
    pub fn moment(self) -> Moment {
        match self {
            Self::Kill(moment)
            | Self::Cut(moment)
            | Self::Stall(moment)
            | Self::StallCommit(moment)
            | Self::Slow(moment) => moment,
        }
    }

    /// Whether this effect is only delayed: no timeout expires.
    pub fn is_harmless_at(self, effect: &str) -> bool {
        match self {
            Self::Slow(_) => true,
            Self::Stall(_) => effect == super::COMMIT,
            Self::Kill(_) | Self::Cut(_) | Self::StallCommit(_) => false,
        }
    }
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The first run of a new operator on an empty database, with migrations and the first probe.
    FirstRun,
    /// Inserts, updates and deletes rows.
    WithDeletes,
    /// The same as a dry run.
    DryRun,
    /// The run is cancelled during Fetch, then the operator is killed.
    CancelledInFetch,
    /// The run is deleted during Fetch, then the operator is killed.
    DeletedInFetch,
    /// The operator is killed. The run is cancelled before the next operator starts.
    CancelledWhileDown,
    /// The operator is killed. The run is deleted before the next operator starts.
    DeletedWhileDown,
}

impl Scenario {
    /// The spec of the run.
    pub fn spec(self) -> Value {
        let changes = match self {
            Self::FirstRun => json!({}),
            Self::DryRun => json!({"deleteStale": true, "dryRun": true}),
            _ => json!({"deleteStale": true}),
        };
        let mut spec = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
        crate::servers::merge(&mut spec, changes);
        spec
    }

    /// Whether the run is cancelled or deleted while its listing hangs.
    pub fn interrupts_fetch(self) -> bool {
        matches!(self, Self::CancelledInFetch | Self::DeletedInFetch)
    }

    /// Whether a user cancels the run.
    pub fn is_cancelled(self) -> bool {
        matches!(self, Self::CancelledInFetch | Self::CancelledWhileDown)
    }

    /// Whether a user deletes the run.
    pub fn is_deleted(self) -> bool {
        matches!(self, Self::DeletedInFetch | Self::DeletedWhileDown)
    }

    /// Whether each case needs its own namespace, database and fleet.
    pub fn is_first_run(self) -> bool {
        self == Self::FirstRun
    }
}
