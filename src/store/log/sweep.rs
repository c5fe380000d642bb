//! Closes log rows that no process will close.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::close::CLOSE;
use super::closed_row::Outcome;
use crate::fault::{Fault, Reason};
use crate::store::handle::Store;
use crate::store::outbox;

impl Store {
    /// Closes abandoned rows as failed with reason `Abandoned` and returns their ids: rows of this connection that are not
    /// in `live` and older than `grace`, and rows without a connection (of the function that this operator replaces) that
    /// have been running for an hour without a heartbeat. Rows that are locked by another transaction are skipped.
    pub async fn sweep(
        &self,
        connection_uid: Uuid,
        live: &[Uuid],
        grace: Duration,
    ) -> Result<Vec<Uuid>, Fault> {
        let update = format!(
            "UPDATE tarana_sync_logs SET {CLOSE} WHERE id IN (
                 SELECT id FROM tarana_sync_logs
                 WHERE status IN ('pending', 'running') AND (
                     (connection_uid = $5 AND id <> ALL ($6)
                      AND greatest(created_at, started_at, heartbeat_at) < now() - $7 * interval '1 second')
                     OR (connection_uid IS NULL AND status = 'running'
                         AND greatest(created_at, started_at, heartbeat_at) < now() - interval '1 hour'))
                 FOR UPDATE SKIP LOCKED)
             RETURNING id"
        );
        let mut tx = self.db.begin().await?;
        let statement = sqlx::query(AssertSqlSafe(update))
            .bind(Outcome::Failed.as_str())
            .bind(Reason::Abandoned.as_str())
            .bind("no process was left to continue this run")
            .bind(None::<i32>)
            .bind(connection_uid)
            .bind(live.to_vec())
            .bind(grace.as_secs_f64());
        let rows = tx.all(statement).await?;
        let closed: Vec<Uuid> = rows.iter().map(|r| tx.get(r, 0)).collect::<Result<_, _>>()?;
        if !closed.is_empty() {
            outbox::enqueue(&mut tx, &closed).await?;
        }
        tx.commit().await?;
        Ok(closed)
    }
}
