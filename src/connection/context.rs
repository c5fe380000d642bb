//! What every reconcile of a connection needs.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;

use super::probes::ProbeLimiter;
use super::registries::Registries;
use super::registry::Connections;
use crate::api::sync::TaranaSync;
use crate::cluster::WatchCache;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::store::SessionPools;

/// What every reconcile needs.
pub struct ConnectionContext {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// The registry of this scope.
    pub connections: Arc<Connections>,
    /// Those of all scopes.
    pub registries: Registries,
    /// The runs of this scope.
    pub syncs: WatchCache<TaranaSync>,
    /// Publishes Events.
    pub notifier: Notifier,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Whether the schema may be migrated.
    pub migrate: bool,
    /// Interval between probes of a connection that is ready or has a permanent fault.
    pub probe_interval: Duration,
    /// The database sessions of the process.
    pub pools: SessionPools,
    /// Limits the probes of the process.
    pub probes: ProbeLimiter,
}
