//! Access to the Kubernetes API: clients with timeouts, the watch caches of the process, and helpers for writes.

mod clients;
mod scope;
mod watch_cache;
mod write;

pub use clients::{Cluster, watch_config};
pub use scope::Scope;
pub use watch_cache::{CacheEvent, Kind, WatchCache};
pub use write::{ReconcileError, delete, ignore_gone, version};
