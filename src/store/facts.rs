//! What the log rows know of runs and connections, for those who only ask.

use std::time::Duration;

use uuid::Uuid;

use super::Store;
use crate::fault::Fault;

impl Store {
    /// How long ago, by the database's clock, the process that has the run gave a sign of life; `None` while it has
    /// given none, or without a row.
    pub async fn heard(&self, run: Uuid) -> Result<Option<Duration>, Fault> {
        let select = "SELECT extract(epoch FROM now() - heartbeat_at)::float8 FROM tarana_sync_logs
                      WHERE id = $1 AND heartbeat_at IS NOT NULL";
        let mut tx = self.db.begin().await?;
        let row = tx.optional(sqlx::query(select).bind(run)).await?;
        let seconds: Option<f64> = row.map(|r| tx.get(&r, 0)).transpose()?;
        tx.commit().await?;
        Ok(seconds.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX)))
    }

    /// When a run of this connection last changed the table or found it true, in epoch seconds, and how many base
    /// stations it had read. Dry runs do not count.
    pub async fn last_success(&self, connection_uid: Uuid) -> Result<Option<(i64, i64)>, Fault> {
        let select = "SELECT floor(extract(epoch FROM completed_at))::int8, coalesce(stations_fetched, 0)::int8
                      FROM tarana_sync_logs
                      WHERE connection_uid = $1 AND outcome = 'completed' AND NOT dry_run AND completed_at IS NOT NULL
                      ORDER BY completed_at DESC LIMIT 1";
        let mut tx = self.db.begin().await?;
        let row = tx.optional(sqlx::query(select).bind(connection_uid)).await?;
        let found = match row {
            None => None,
            Some(row) => Some((tx.get(&row, 0)?, tx.get(&row, 1)?)),
        };
        tx.commit().await?;
        Ok(found)
    }
}
