//! Pure: what is tried: kinds of runs, and what befalls them at one of their effects.

use devenv::wires::Moment;
use serde_json::{Value, json};

/// What happens at an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The operator is killed, and another one started.
    Kill(Moment),
    /// The wire is cut, and can be used again at once.
    Cut(Moment),
    /// Nothing goes by for longer than the operator waits; then the effect, or its answer, arrives after all.
    Stall(Moment),
    /// It takes its time, less than the operator waits.
    Slow(Moment),
}

impl Blow {
    /// On which side of the server the effect is held.
    pub fn moment(self) -> Moment {
        match self {
            Self::Kill(moment) | Self::Cut(moment) | Self::Stall(moment) | Self::Slow(moment) => moment,
        }
    }

    /// Whether the operator cannot have noticed more than that it took a while.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Slow(_))
    }
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The first run of a new operator on an empty database: migrations, trial of the connection and all.
    FromNothing,
    /// New, changed and stale rows.
    WithDeletes,
    /// The same, planned only.
    Dry,
    /// It is cancelled while it reads, then the operator is killed.
    Cancelling,
    /// It is deleted while it reads, then the operator is killed.
    Deleting,
    /// The operator is killed, and the run is cancelled before another starts.
    CancelledMeanwhile,
    /// The operator is killed, and the run is deleted before another starts.
    DeletedMeanwhile,
}

impl Scenario {
    /// The spec of its run.
    pub fn spec(self) -> Value {
        let changes = match self {
            Self::FromNothing => json!({}),
            Self::Dry => json!({"deleteStale": true, "dryRun": true}),
            _ => json!({"deleteStale": true}),
        };
        let mut spec = json!({"backoff": {"initialSeconds": 1, "maxSeconds": 1}});
        crate::servers::merge(&mut spec, changes);
        spec
    }

    /// Whether it is given up while its listing hangs.
    pub fn hangs(self) -> bool {
        matches!(self, Self::Cancelling | Self::Deleting)
    }

    /// Whether somebody cancels it.
    pub fn cancels(self) -> bool {
        matches!(self, Self::Cancelling | Self::CancelledMeanwhile)
    }

    /// Whether somebody deletes it.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Deleting | Self::DeletedMeanwhile)
    }

    /// Whether each case has a namespace, a database and a fleet of its own.
    pub fn is_first_of_all(self) -> bool {
        self == Self::FromNothing
    }
}
