//! The model: its rules, its events, the outcomes of effects, and its parameters.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::world::Budget;

/// A rule that can be disabled, to check that the model then fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The fence is compared before a row is changed.
    Fence,
    /// One running row for a connection.
    OneRunning,
    /// The API server rejects a write with an old `resourceVersion`.
    Versions,
    /// Resuming an attempt is not charged.
    FreeResume,
    /// The status contains the fence, so that a takeover changes it.
    ShownFence,
}

/// The rules, all or all but one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub disabled: Option<Rule>,
}

impl Rules {
    pub fn is_enabled(self, rule: Rule) -> bool {
        self.disabled != Some(rule)
    }
}

/// The outcome of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EffectOutcome {
    Success,
    /// It did not happen, and the process gets a transient fault.
    Failed,
    /// It happened, and the process gets a transient fault.
    AnswerLost,
    /// It did not happen, and the process gets a permanent fault.
    PermanentFault,
    /// The process dropped it, and it did not happen.
    Interrupted,
    /// The process dropped it, and it happened.
    InterruptedTooLate,
    /// It takes so long that the status shows the step.
    Slow,
}

/// An event of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A process starts a reconcile, reads the answer to its last effect, or executes its next effect.
    Step {
        who: usize,
        run: usize,
        outcome: EffectOutcome,
    },
    /// The watch cache of a process catches up.
    Watch { who: usize, run: usize },
    /// A process has probed the connection.
    Verified { who: usize },
    /// The sweeper of a process checks a run.
    Sweep { who: usize, run: usize },
    /// A process is killed and replaced.
    Crash { who: usize },
    /// The server ends an idle transaction.
    Idle { who: usize, run: usize },
    /// A user sets `spec.cancel`.
    Cancel { run: usize },
    /// A user deletes the object.
    Delete { run: usize },
    /// The clock advances to the next relevant instant.
    Tick,
    /// The clock is set back to its start.
    ClockBack,
}

/// The model to explore.
#[derive(Clone)]
pub(super) struct Model {
    pub rules: Rules,
    pub runs: usize,
    pub budget: Budget,
    pub backoff_limit: i32,
    /// The watch caches receive every change at once, except a run that one of them does not have yet.
    pub caches_current: bool,
    /// Maximum number of events; 0 is unlimited.
    pub max_depth: usize,
    /// Hashes of worlds from which every run is known to end.
    pub known_to_end: Arc<Mutex<HashSet<u64>>>,
}

impl Model {
    pub fn new(runs: usize, budget: Budget) -> Self {
        Self {
            rules: Rules { disabled: None },
            runs,
            budget,
            backoff_limit: 1,
            caches_current: false,
            max_depth: 0,
            known_to_end: Arc::default(),
        }
    }
}
