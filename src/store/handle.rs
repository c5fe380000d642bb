//! The handle to the tables of one connection.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::config::{self, Config};
use super::db::Db;
use crate::fault::Fault;
use crate::metrics::DatabaseMetrics;

/// Maximum number of exports in progress. The other connections of the pool stay free for short reads.
const MAX_EXPORTS: usize = 2;

/// The tables of one connection. Cheap to clone: clones share a small pool.
#[derive(Clone)]
pub struct Store {
    pub(super) db: Db,
    /// Whether [`Store::verify`] may migrate the schema.
    pub(super) may_migrate: bool,
    /// Permits of the exports in progress.
    pub(super) exports: Arc<Semaphore>,
    /// The host, if connections to it may be in plain text.
    unencrypted_host: Option<Arc<str>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("database", &self.db.target().display_name())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Parses the configuration. Does not connect yet.
    pub fn new(config: &Config) -> Result<Self, Fault> {
        let (options, target) = config::parse(config)?;
        let preamble = config::preamble(&target);
        Ok(Self {
            unencrypted_host: config::unencrypted_host(&options),
            db: Db::new(options, target, preamble),
            may_migrate: config.migrate,
            exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
        })
    }

    /// The same store, whose transactions are counted in these metrics.
    #[must_use]
    pub fn measured_by(mut self, metrics: &DatabaseMetrics) -> Self {
        self.db.metrics = metrics.clone();
        self
    }

    /// Whether another store has the same tables, as far as their addresses tell.
    pub fn is_same_database(&self, other: &Self) -> bool {
        self.db.target() == other.db.target()
    }

    /// The host, if connections to it may be in plain text. A Unix socket is none.
    pub fn unencrypted_host(&self) -> Option<&str> {
        self.unencrypted_host.as_deref()
    }

    /// Connections of the pool, and how many of them are idle.
    pub fn pool_size(&self) -> (u32, usize) {
        self.db.pool_size()
    }

    /// Closes the pool. Calls in progress finish first.
    pub async fn close_pool(&self) {
        self.db.close().await;
    }
}
