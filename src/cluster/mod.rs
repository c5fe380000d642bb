//! Access to the Kubernetes API: clients with timeouts, watch caches, and helpers for writes.

mod clients;
mod decoded;
mod finalizer;
mod index;
mod kind;
mod measured;
mod schema_difference;
mod scope;
mod served_schemas;
mod watch_cache;
mod watch_health;
mod watch_selector;
mod watch_update;
mod write;

pub use clients::{Cluster, watch_config};
pub use decoded::{InvalidObject, InvalidObjects};
pub use finalizer::remove_finalizer;
pub use kind::Kind;
pub use measured::WatchActivity;
pub use scope::{Scope, SecretMeta, owned_by, owning_schedule, unfinished_on};
pub use served_schemas::{OutdatedKind, ServedSchemas, outdated_kinds};
pub use watch_cache::{CacheConfig, WatchCache};
pub use watch_selector::{InvalidSelector, WatchSelector};
pub use watch_update::CacheEvent;
pub use write::{ReconcileError, delete, ignore_gone, rejected_writes, version};
