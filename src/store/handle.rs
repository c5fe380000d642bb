//! The handle to the tables of one connection.

use std::sync::Arc;

use super::config::{self, Config};
use super::db::Db;
use super::pool::SessionPools;
use crate::fault::Fault;
use crate::metrics::DatabaseMetrics;

/// The tables of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) db: Db,
    /// Whether [`Store::verify`] may migrate the schema.
    pub(super) may_migrate: bool,
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
    /// With sessions of its own. Does not connect yet.
    ///
    /// # Errors
    /// `InvalidConfiguration`.
    pub fn new(config: &Config) -> Result<Self, Fault> {
        Self::shared(config, &SessionPools::default())
    }

    /// With the sessions of all stores in `pools` that log in in the same way. Does not connect yet.
    ///
    /// # Errors
    /// `InvalidConfiguration`.
    pub fn shared(config: &Config, pools: &SessionPools) -> Result<Self, Fault> {
        let parsed = config::parse(config)?;
        let preamble = config::preamble(&parsed.target);
        let unencrypted_host = config::unencrypted_host(&parsed.options);
        let pool = pools.get(parsed.identity, parsed.options);
        Ok(Self {
            unencrypted_host,
            db: Db::new(pool, parsed.target, preamble),
            may_migrate: config.migrate,
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

    /// The server, as all stores with it name it.
    pub fn server(&self) -> String {
        let target = self.db.target();
        format!("{}:{}", target.host, target.port)
    }

    /// Open sessions of the pool, and how many of them are idle.
    pub fn pool_size(&self) -> (u32, usize) {
        self.db.pool().open_sessions()
    }

    /// Closes the pool, also for other stores with the same sessions. Calls in progress finish first.
    pub async fn close_pool(&self) {
        self.db.pool().close().await;
    }
}
