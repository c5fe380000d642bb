#![doc = include_str!("README.md")]

mod apply;
mod changes;
mod closing;
mod columns;
mod config;
mod copy;
mod db;
mod ended;
mod error;
mod facts;
mod history;
mod journal;
mod logs;
mod migrate;
mod outbox;
mod piece;
mod rights;
mod stations;
mod write;

pub use apply::{Apply, Begun};
pub use closing::Closing;
pub use config::Config;
pub use ended::{Ended, Outcome};
pub use history::{Logged, Wanted};
pub use logs::{Opened, Run, Trigger};
pub use outbox::Event;
pub use stations::{Happened, Listed, Search, Sort, Tally};

use self::db::Db;
use crate::fault::Fault;

/// The tables of one connection. Cheap to clone: clones share a small pool.
#[derive(Clone)]
pub struct Store {
    db: Db,
    migrate: bool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("place", &self.db.target().place())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Reads the configuration. Connects to nothing yet.
    pub fn new(config: &Config) -> Result<Self, Fault> {
        let (options, target) = config::read(config)?;
        let preamble = config::preamble(&target);
        Ok(Self {
            db: Db::new(options, target, preamble),
            migrate: config.migrate,
        })
    }

    /// Tries all that a sync will need: connects, brings the schema up to date if it may, and checks columns and
    /// rights.
    pub async fn verify(&self) -> Result<(), Fault> {
        if migrate::migrate(&self.db, self.migrate).await?.is_none() {
            return Err(migrate::outdated(self.db.target()));
        }
        let mut tx = self.db.begin().await?;
        rights::check(&mut tx).await?;
        let columns = columns::list(|name, kind| format!("{name}::{kind}"));
        tx.script(format!(
            "SELECT {columns}, last_updated FROM tarana_base_stations LIMIT 0"
        ))
        .await?;
        Ok(tx.commit().await?)
    }

    /// Brings the schema up to date; what was applied.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, Fault> {
        Ok(migrate::migrate(&self.db, true).await?.unwrap_or_default())
    }

    /// Gives the connections back to the server. What is under way ends first.
    pub async fn close_pool(&self) {
        self.db.close().await;
    }
}
