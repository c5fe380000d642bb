//! The state of the model: the objects of the API server, the rows of the database, two operators, and the remaining
//! budget of faults. Values are small, so that millions of states fit into memory.

use super::values::{Closed, InternedStatus, InternedTermination, Second, Transition, default_status};
use crate::api::sync::{Phase, Step};

/// Number of operators, and maximum number of runs on the connection.
pub(super) const OPERATORS: usize = 2;
pub(super) const RUNS: usize = 2;

/// A `TaranaSync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Object {
    /// `metadata.resourceVersion`.
    pub version: u8,
    pub status: InternedStatus,
    /// Whether the finalizer is present.
    pub finalizer: bool,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `spec.cancel`.
    pub cancel: bool,
}

/// A row of `tarana_sync_logs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub state: RowState,
    pub fence: i64,
    /// `heartbeat_at`.
    pub heartbeat: Second,
}

/// `status` and `outcome` of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RowState {
    #[default]
    Absent,
    Pending,
    Running,
    Closed(Closed),
}

/// The decision to open an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Open {
    pub attempt: i32,
    pub resumed: bool,
}

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Operator {
    /// It has probed the connection and can access the database.
    pub verified: bool,
    pub tasks: [Task; RUNS],
}

/// The state of a process for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Task {
    /// The watch cache.
    pub cache: Option<Object>,
    pub state: RunState,
    /// The cache has changed since the last reconcile started.
    pub woken: bool,
    pub at: TaskState,
}

/// `context::RunState`.
#[expect(clippy::struct_excessive_bools, reason = "the same fields as there")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunState {
    pub fence: Option<i64>,
    pub fetched: bool,
    pub pending_end: Option<InternedTermination>,
    pub registered: bool,
    pub fenced_until: Option<Second>,
    pub newest_version: u8,
    pub ended: bool,
    pub skips_queue: bool,
}

/// What a process is doing with one run. A stopped process takes no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TaskState {
    /// No reconcile. With a timer one may start at any time, otherwise only a change starts it.
    Idle { timer: bool },
    /// The answer to the last effect has arrived: the next decision is made from this copy.
    Deciding(Object),
    /// About to execute this effect.
    Executing(Object, Effect),
}

/// An effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Effect {
    /// Add or remove the finalizer.
    Finalizer(bool),
    /// Create the row, then write why the run waits.
    Register(Transition),
    /// Write the status of a decision that was made under this fence.
    Put {
        status: InternedStatus,
        then: AfterWrite,
        fence: Option<i64>,
    },
    /// Read the heartbeat of the row, then open.
    Ask(Open),
    Open(Open),
    Fetch,
    /// Lock the table and the row, compare the fence.
    Begin,
    /// Both locks are held, unless the server has ended the transaction.
    Commit {
        alive: bool,
    },
    /// Record the failed attempt in the row, then write this status.
    Note {
        status: InternedStatus,
        fence: i64,
    },
    /// Close the row; `failing` is the step that failed in this reconcile.
    Close {
        end: InternedTermination,
        failing: Option<Step>,
    },
}

/// What follows a write of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum AfterWrite {
    /// The next decision.
    Continue,
    /// The process owns the fence, then decides again.
    OwnFence(i64),
    /// Nothing until the timer.
    Requeue,
}

/// The remaining numbers of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Budget {
    pub crashes: u8,
    /// Failed effects and lost answers, of any server.
    pub faults: u8,
    pub cancels: u8,
    pub deletes: u8,
    /// Jumps of the clock to the next relevant instant.
    pub forwards: u8,
    /// Jumps of the clock back to its start.
    pub backwards: u8,
}

/// What the properties check and no process can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct History {
    /// Number of commits that wrote the table, per run.
    pub applied: [u8; RUNS],
    /// Number of failed attempts, per run, which may be charged.
    pub failed: [u8; RUNS],
    /// The highest fence whose owner has written a status.
    pub shown: [i64; RUNS],
    /// A row was changed under an old fence.
    pub fenced_row: bool,
    /// A status was written under an old fence after the new owner's.
    pub fenced_status: bool,
    /// A run ended while its row was unavailable.
    pub row_unavailable: [bool; RUNS],
    /// A closed row was closed again.
    pub closed_twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct World {
    /// Index of the current instant.
    pub clock: u8,
    pub objects: [Option<Object>; RUNS],
    pub rows: [Row; RUNS],
    pub operators: [Operator; OPERATORS],
    pub budget: Budget,
    pub history: History,
}

impl World {
    /// New runs, which both operators have in their caches, on a verified connection.
    pub fn new(runs: usize, budget: Budget) -> Self {
        let object = Object {
            version: 1,
            status: default_status(),
            finalizer: false,
            deleting: false,
            cancel: false,
        };
        let objects: [Option<Object>; RUNS] = std::array::from_fn(|run| (run < runs).then_some(object));
        let operator = Operator::started(&objects);
        Self {
            clock: 0,
            objects,
            rows: [Row::default(); RUNS],
            operators: [Operator {
                verified: true,
                ..operator
            }; OPERATORS],
            budget,
            history: History::default(),
        }
    }

    /// `SyncContext::reset_attempt`.
    pub fn reset_attempt(&mut self, who: usize, run: usize) {
        let state = &mut self.task(who, run).state;
        (state.fence, state.fetched, state.pending_end) = (None, false, None);
    }

    /// Gives the runs their finalizer and row. With two runs, how they got them is left to the models with one.
    pub fn skip_registration(&mut self) {
        for object in self.objects.iter_mut().flatten() {
            object.finalizer = true;
        }
        for task in self.operators.iter_mut().flat_map(|o| &mut o.tasks) {
            task.state.registered = true;
            if let Some(cache) = &mut task.cache {
                cache.finalizer = true;
            }
        }
        self.rows = self.rows.map(|row| Row {
            state: RowState::Pending,
            ..row
        });
    }

    /// Drops what makes no difference any more and sorts the operators, so that equivalent worlds are equal.
    pub fn canonicalize(&mut self, runs: usize) {
        for task in self.operators.iter_mut().flat_map(|o| &mut o.tasks) {
            if task.cache.is_some_and(|c| c.version >= task.state.newest_version) {
                task.state.newest_version = 0;
            }
            // Only other runs read it.
            task.state.ended &= runs > 1;
        }
        self.operators.sort_unstable();
    }

    pub fn task(&mut self, who: usize, run: usize) -> &mut Task {
        &mut self.operators[who].tasks[run]
    }

    /// The run that is being applied, if a process holds the table lock.
    pub fn applying(&self) -> Option<usize> {
        let applies = |t: &Task| matches!(t.at, TaskState::Executing(_, Effect::Commit { alive: true }));
        self.operators
            .iter()
            .find_map(|o| o.tasks.iter().position(applies))
    }

    /// Number of Apply transactions that have passed the fence.
    pub fn apply_count(&self) -> usize {
        let applies = |t: &&Task| matches!(t.at, TaskState::Executing(_, Effect::Commit { alive: true }));
        self.operators
            .iter()
            .flat_map(|o| &o.tasks)
            .filter(applies)
            .count()
    }

    /// Whether every run has ended in object and row, without a finalizer.
    pub fn is_over(&self) -> bool {
        let object = |o: &Option<Object>| o.is_none_or(|o| o.phase().is_final() && !o.finalizer);
        let row = |r: &Row| !matches!(r.state, RowState::Pending | RowState::Running);
        self.objects.iter().all(object) && self.rows.iter().all(row)
    }
}

impl Task {
    /// The cache has changed: a reconcile follows, now or after the current one.
    pub fn wake(&mut self) {
        match &mut self.at {
            TaskState::Idle { timer } => *timer = true,
            _ => self.woken = true,
        }
    }

    /// Sets the next state.
    pub fn set(&mut self, at: TaskState) {
        self.at = at;
        if let TaskState::Idle { timer } = &mut self.at {
            *timer |= std::mem::take(&mut self.woken);
        }
    }
}

impl Operator {
    /// A new process, which has listed the objects.
    pub fn started(objects: &[Option<Object>; RUNS]) -> Self {
        let task = |cache: &Option<Object>| Task {
            cache: *cache,
            state: RunState::default(),
            woken: false,
            at: TaskState::Idle {
                timer: cache.is_some(),
            },
        };
        Self {
            verified: false,
            tasks: [task(&objects[0]), task(&objects[1])],
        }
    }
}

impl Object {
    pub fn phase(&self) -> Phase {
        self.status.phase
    }

    pub fn has_started(&self) -> bool {
        self.status.start_time.is_some()
    }
}
