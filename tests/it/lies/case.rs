//! Pure: one run under lies, before it is tried.

use devenv::simulator::Rule;

/// How the fleet changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// A part of it, as time would.
    pub drift: f64,
    /// So many towers go.
    pub vanish: usize,
    /// So many come.
    pub add: usize,
}

/// What must come of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Completed or not, each with the table that goes with it.
    Sound,
    /// Completed, and the lie harmed nothing: the table is as the fleet is.
    Exact,
    /// Completed; records that were blemished show just what the table says of their blemish.
    Blemished,
    /// Failed for this reason.
    Refused(&'static str),
    /// Completed, with these stations called absent though they stand; the delete guard kept their rows.
    Guarded(usize),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called where it fails.
    pub name: String,
    /// Decides the fleet and its changes.
    pub seed: u64,
    pub base_nodes: usize,
    pub page_size: usize,
    /// The server's own.
    pub page_cap: usize,
    pub in_flight: usize,
    /// `requestTimeoutSeconds`.
    pub timeout: usize,
    /// `activeDeadlineSeconds`: what all attempts of the run may take together.
    pub deadline: i64,
    /// The connection has read this fleet before, and remembers its shape.
    pub warm: bool,
    /// Sessions end before the run; `Some(true)`: refresh tokens as well.
    pub expire: Option<bool>,
    pub delete_stale: bool,
    /// `deleteGuard.freeCount`; `maxPercent` is 0.
    pub guard: usize,
    /// What happened since the table was filled.
    pub before: Change,
    /// What happens at the moment when the so-maniest page is asked for.
    pub midway: Option<(u32, Change)>,
    pub rules: Vec<Rule>,
    pub expected: Expected,
}

impl Case {
    /// A run whose pages and changes leave something for each fault to spoil.
    pub fn of(name: impl Into<String>, rules: Vec<Rule>, expected: Expected) -> Self {
        Self {
            name: name.into(),
            seed: 1,
            base_nodes: 30,
            page_size: 6,
            page_cap: 5000,
            in_flight: 2,
            timeout: 1,
            // Room for each reason to show itself on a busy machine; the pairs at random have less.
            deadline: 30,
            warm: true,
            expire: None,
            delete_stale: true,
            guard: 1000,
            before: Change {
                drift: 0.3,
                vanish: 2,
                add: 2,
            },
            midway: None,
            rules,
            expected,
        }
    }
}
