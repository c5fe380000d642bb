//! Pure: the description of one run under vendor faults.

use devenv::simulator::Rule;

/// A change of the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// The fraction of devices whose fields change.
    pub drift: f64,
    /// How many base nodes are removed.
    pub vanish: usize,
    /// How many base nodes are added.
    pub add: usize,
}

/// The expected result of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Completed with a correct table, or failed with an unchanged one.
    Consistent,
    /// Completed, and the table equals the fleet.
    Exact,
    /// Completed, and each defective record has exactly the effect of its defect.
    Defective,
    /// Failed for this reason.
    Fails(&'static str),
    /// Completed. At least this many existing stations seemed absent, and the delete guard withheld their deletion.
    Withheld(usize),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Identifies the case in failures.
    pub name: String,
    /// Determines the fleet and its changes.
    pub seed: u64,
    pub base_nodes: usize,
    pub page_size: usize,
    /// The server's maximum page size.
    pub page_cap: usize,
    pub in_flight: usize,
    /// `spec.api.listing`.
    pub listing: &'static str,
    /// `requestTimeoutSeconds`.
    pub timeout: usize,
    /// `activeDeadlineSeconds`.
    pub deadline: i64,
    /// The connection has read this fleet before.
    pub warm: bool,
    /// Sessions expire before the run; with `Some(true)`, refresh tokens too.
    pub expire: Option<bool>,
    pub delete_stale: bool,
    /// `deleteGuard.freeCount`; `maxPercent` is 0.
    pub guard: usize,
    /// The change of the fleet between filling the table and the run.
    pub before: Change,
    /// The change of the fleet while this page is requested.
    pub during: Option<(u32, Change)>,
    pub rules: Vec<Rule>,
    pub expected: Expected,
}

impl Case {
    /// A run with enough pages and changes for each fault to have an effect.
    pub fn of(name: impl Into<String>, rules: Vec<Rule>, expected: Expected) -> Self {
        Self {
            name: name.into(),
            seed: 1,
            base_nodes: 30,
            page_size: 6,
            page_cap: 5000,
            in_flight: 2,
            listing: "RegionSearch",
            timeout: 1,
            // Enough for all attempts on a busy machine. Random cases have less.
            deadline: 60,
            warm: true,
            expire: None,
            delete_stale: true,
            guard: 1000,
            before: Change {
                drift: 0.3,
                vanish: 2,
                add: 2,
            },
            during: None,
            rules,
            expected,
        }
    }
}
