//! Checks that the database can serve a sync, and migrates the schema where that is allowed.

use super::handle::Store;
use super::{columns, migrate, rights};
use crate::fault::Fault;

impl Store {
    /// Tries everything that a sync needs: connects, migrates the schema if it may, and checks columns and privileges.
    pub async fn verify(&self) -> Result<(), Fault> {
        if migrate::migrate(&self.db, self.may_migrate).await?.is_none() {
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

    /// Migrates the schema. Returns the descriptions of the migrations that were applied.
    pub async fn migrate(&self) -> Result<Vec<&'static str>, Fault> {
        Ok(migrate::migrate(&self.db, true).await?.unwrap_or_default())
    }
}
