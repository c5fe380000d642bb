//! What the admin API is told of the process that serves it.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::{Scope, ServedSchemas, WatchActivity};
use crate::connection::Registries;
use crate::leader::{Election, Leadership};

/// The parts of the process that the admin API shows.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name in Events and in the Lease.
    pub identity: String,
    /// When it started.
    pub started: Instant,
    /// The watch caches.
    pub scopes: Arc<Vec<Scope>>,
    /// The requests of their watches.
    pub watch_activity: WatchActivity,
    /// Whether the custom resource definitions are current.
    pub served_schemas: ServedSchemas,
    /// The Lease; `None` without leader election.
    pub election: Option<Election>,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The connections, while it leads.
    pub registries: Registries,
}
