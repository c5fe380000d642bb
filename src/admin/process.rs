//! The process that serves the admin API, as `/debug/state` shows it.

use std::time::Instant;

use crate::connection::Registries;
use crate::leader::Election;
use crate::monitoring::Health;
use crate::store::SessionPools;

/// The parts of the process that the admin API shows.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name in Events and in the Lease.
    pub identity: String,
    /// When it started.
    pub started: Instant,
    /// The watch caches, and whether they and the leader work.
    pub health: Health,
    /// The Lease; `None` without leader election.
    pub election: Option<Election>,
    /// The connections, while it leads.
    pub registries: Registries,
    /// The database sessions of the process.
    pub pools: SessionPools,
}
