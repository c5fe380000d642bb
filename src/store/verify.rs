//! Checks that the database can serve a sync, and migrates the schema where that is allowed.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::handle::Store;
use super::{migrate, probe};
use crate::fault::Fault;

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `server_version`, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// The role of the session.
    pub role: String,
    /// Its clock, halfway between request and answer.
    pub time: Timestamp,
    /// When the answer arrived.
    pub received: Instant,
    /// Time from the request to the answer.
    pub round_trip: Duration,
}

impl Store {
    /// Tries everything that a sync needs: connects, migrates the schema if it may, and checks columns and privileges.
    pub async fn verify(&self) -> Result<(), Fault> {
        if migrate::migrate(&self.db, self.may_migrate).await?.is_none() {
            return Err(migrate::outdated(self.db.target()));
        }
        self.verify_access().await
    }

    /// Checks that a sync can read and write all its tables: columns, types, unique indexes, privileges, also under row-level security,
    /// and each statement. Changes nothing.
    pub async fn verify_access(&self) -> Result<(), Fault> {
        let mut tx = self.db.begin().await?;
        probe::check(&mut tx).await?;
        Ok(tx.rollback().await?)
    }

    /// Connects, and asks the server for its version and its clock.
    pub async fn server_info(&self) -> Result<ServerInfo, Fault> {
        let mut tx = self.db.begin_read_only().await?;
        let asked = Instant::now();
        let question = "SELECT current_setting('server_version'), current_user::text,
                               (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let row = tx.one(sqlx::query(question)).await?;
        let received = Instant::now();
        let (version, role) = (tx.get(&row, 0)?, tx.get(&row, 1)?);
        let micros: i64 = tx.get(&row, 2)?;
        tx.rollback().await?;
        Ok(ServerInfo {
            version,
            role,
            time: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN),
            received,
            round_trip: received - asked,
        })
    }

    /// The migrations that the schema lacks, in order. Changes nothing.
    pub async fn pending_migrations(&self) -> Result<Vec<&'static str>, Fault> {
        migrate::pending_descriptions(&self.db).await
    }

    /// Migrates the schema. Returns the descriptions of the migrations that were applied.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, Fault> {
        Ok(migrate::migrate(&self.db, true).await?.unwrap_or_default())
    }
}
