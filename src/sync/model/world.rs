//! What there is in the model: the objects of the API server, the rows of the database, two operators, and how much
//! bad luck is left. Small values, so that millions of states fit into memory.

use super::real::{Closed, Ending, Moment, Second, Status, untouched};
use crate::api::sync::{Phase, Step};

/// Operators, and most runs on the one connection.
pub(super) const OPERATORS: usize = 2;
pub(super) const RUNS: usize = 2;

/// A `TaranaSync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Object {
    /// `metadata.resourceVersion`.
    pub version: u8,
    pub status: Status,
    /// The finalizer is there.
    pub held: bool,
    /// `metadata.deletionTimestamp` is there.
    pub leaving: bool,
    /// `spec.cancel`.
    pub cancel: bool,
}

/// A row of `tarana_sync_logs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub state: RowState,
    pub fence: i64,
    /// `heartbeat_at`.
    pub heard: Second,
}

/// `status` and `outcome` of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RowState {
    #[default]
    Absent,
    Pending,
    Running,
    Ended(Closed),
}

/// An attempt to open, as the machine decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Open {
    pub attempt: i32,
    pub resumed: bool,
}

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Operator {
    /// It has tried the connection, and has a link to the database.
    pub verified: bool,
    pub tasks: [Task; RUNS],
}

/// What a process has of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Task {
    /// The watch cache.
    pub cache: Option<Object>,
    pub hold: Hold,
    /// The cache has changed since the last turn began.
    pub woken: bool,
    pub at: At,
}

/// `context::Held`.
#[expect(clippy::struct_excessive_bools, reason = "the same fields as there")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Hold {
    pub fence: Option<i64>,
    pub fetched: bool,
    pub due: Option<Ending>,
    pub registered: bool,
    pub lost_until: Option<Second>,
    pub written: u8,
    pub ended: bool,
    pub first: bool,
}

/// Where a process is with one run. A process that is stopped simply takes no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum At {
    /// No turn. With a timer, or woken, it may begin one at any time, else it waits to be woken.
    Asleep { timer: bool },
    /// The answer to the last effect has arrived: the next turn is to be decided, from this copy.
    Turn(Object),
    /// About to have this effect.
    Doing(Object, Do),
}

/// An effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Do {
    /// Take the finalizer, or let go of it.
    Finalizer(bool),
    /// Make the row, then say why the run waits.
    Register(Moment),
    /// Write the status of a decision that was made under this fence.
    Put {
        status: Status,
        then: Then,
        fence: Option<i64>,
    },
    /// Ask the row whether somebody works on it, then open.
    Ask(Open),
    Open(Open),
    Fetch,
    /// Lock the table and the row, compare the fence.
    Begin,
    /// Both locks are held, unless the server has given the transaction up.
    Commit {
        alive: bool,
    },
    /// Tell the row of the failed attempt, then write this status.
    Note {
        status: Status,
        fence: i64,
    },
    /// Close the row, for an attempt that failed in this step, if one did in this turn.
    Close {
        end: Ending,
        failing: Option<Step>,
    },
}

/// What follows on a write of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Then {
    /// The next turn.
    Again,
    /// The fence is held, then the next turn.
    Hold(i64),
    /// Nothing, until the timer.
    Rest,
}

/// How much bad luck is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Luck {
    pub crashes: u8,
    /// Answers that are faults, or that are lost after the effect, of any wire.
    pub faults: u8,
    pub cancels: u8,
    pub deletes: u8,
    /// Jumps of the clock to the next instant that matters.
    pub forwards: u8,
    /// Jumps of the clock to where it began.
    pub backwards: u8,
}

/// What no process can see and every property is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Notes {
    /// Commits that wrote the table, for each run.
    pub applied: [u8; RUNS],
    /// Faults of attempts, for each run: what may be charged.
    pub failed: [u8; RUNS],
    /// The highest fence whose holder has written a status.
    pub shown: [i64; RUNS],
    /// A row changed under an old fence.
    pub fenced_row: bool,
    /// A status was written under an old fence after the new holder's.
    pub fenced_status: bool,
    /// A run ended without a word of its row.
    pub unasked: [bool; RUNS],
    /// A row ended that had ended.
    pub ended_twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct World {
    /// Which of the instants it is.
    pub clock: u8,
    pub objects: [Option<Object>; RUNS],
    pub rows: [Row; RUNS],
    pub operators: [Operator; OPERATORS],
    pub luck: Luck,
    pub notes: Notes,
}

impl World {
    /// So many runs were just created, and both operators have heard of them and tried the connection.
    pub fn new(runs: usize, luck: Luck) -> Self {
        let object = Object {
            version: 1,
            status: untouched(),
            held: false,
            leaving: false,
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
            luck,
            notes: Notes::default(),
        }
    }

    /// Lets go of what an attempt left, as `Context::drop_hand` does.
    pub fn drop_hand(&mut self, who: usize, run: usize) {
        let hold = &mut self.task(who, run).hold;
        (hold.fence, hold.fetched, hold.due) = (None, false, None);
    }

    /// The runs have their finalizer and their row already: with two of them, how each got there is left to the worlds of one.
    pub fn adopted(&mut self) {
        for object in self.objects.iter_mut().flatten() {
            object.held = true;
        }
        for task in self.operators.iter_mut().flat_map(|o| &mut o.tasks) {
            task.hold.registered = true;
            if let Some(cache) = &mut task.cache {
                cache.held = true;
            }
        }
        self.rows = self.rows.map(|row| Row {
            state: RowState::Pending,
            ..row
        });
    }

    /// Forgets what no longer makes a difference, so that worlds that differ in nothing else are one. The operators are
    /// alike: a world and its mirror image are one as well.
    pub fn tidy(&mut self, runs: usize) {
        for task in self.operators.iter_mut().flat_map(|o| &mut o.tasks) {
            if task.cache.is_some_and(|c| c.version >= task.hold.written) {
                task.hold.written = 0;
            }
            // Only other runs ask for it.
            task.hold.ended &= runs > 1;
        }
        self.operators.sort_unstable();
    }

    pub fn task(&mut self, who: usize, run: usize) -> &mut Task {
        &mut self.operators[who].tasks[run]
    }

    /// Whether some process has the table's lock; which run it applies.
    pub fn applying(&self) -> Option<usize> {
        let applies = |t: &Task| matches!(t.at, At::Doing(_, Do::Commit { alive: true }));
        self.operators
            .iter()
            .find_map(|o| o.tasks.iter().position(applies))
    }

    /// How many transactions of Apply are past the comparison of the fence.
    pub fn applies(&self) -> usize {
        let applies = |t: &&Task| matches!(t.at, At::Doing(_, Do::Commit { alive: true }));
        self.operators
            .iter()
            .flat_map(|o| &o.tasks)
            .filter(applies)
            .count()
    }

    /// Whether every run has ended, in object and row, and nothing holds its object.
    pub fn is_over(&self) -> bool {
        let object = |o: &Option<Object>| o.is_none_or(|o| o.phase().is_final() && !o.held);
        let row = |r: &Row| !matches!(r.state, RowState::Pending | RowState::Running);
        self.objects.iter().all(object) && self.rows.iter().all(row)
    }
}

impl Task {
    /// The cache has changed: a turn follows, now or after the one under way.
    pub fn wake(&mut self) {
        match &mut self.at {
            At::Asleep { timer } => *timer = true,
            _ => self.woken = true,
        }
    }

    /// The turn goes on, or is over.
    pub fn set(&mut self, at: At) {
        self.at = at;
        if let At::Asleep { timer } = &mut self.at {
            *timer |= std::mem::take(&mut self.woken);
        }
    }
}

impl Operator {
    /// A process that has just listed the objects and knows nothing else.
    pub fn started(objects: &[Option<Object>; RUNS]) -> Self {
        let task = |cache: &Option<Object>| Task {
            cache: *cache,
            hold: Hold::default(),
            woken: false,
            at: At::Asleep {
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
