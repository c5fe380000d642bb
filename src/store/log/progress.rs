//! Heartbeats and failed attempts of a running row.

use std::time::Duration;

use uuid::Uuid;

use super::open::superseded;
use super::spans::{self, Span};
use super::text::without_nul;
use crate::fault::Fault;
use crate::store::db::Statement;
use crate::store::handle::Store;

pub(super) const HEARTBEAT: &str =
    "UPDATE tarana_sync_logs SET heartbeat_at = now(), stations_fetched = least($3, 2147483647)::int, spans = coalesce($4, spans)
     WHERE id = $1 AND fence = $2 AND status = 'running'";
pub(super) const RECORD_FAILURE: &str =
    "UPDATE tarana_sync_logs SET heartbeat_at = now(),
         errors = coalesce(errors, '[]') || jsonb_build_object('message', $3::text, 'timestamp', now()), spans = coalesce($4, spans)
     WHERE id = $1 AND fence = $2 AND status = 'running'";

impl Store {
    /// Records that the run is alive, how many stations it has read, and its spans. Must not be called while an
    /// [`Apply`](crate::store::Apply) of the same run is open, which holds a lock on the row.
    pub async fn heartbeat(&self, id: Uuid, fence: i64, fetched: i64, spans: &[Span]) -> Result<(), Fault> {
        self.update_fenced(
            id,
            sqlx::query(HEARTBEAT)
                .bind(id)
                .bind(fence)
                .bind(fetched)
                .bind(spans::encode(spans)),
        )
        .await
    }

    /// Records that an attempt failed and that another one will follow, and the spans of the run.
    pub async fn record_failure(
        &self,
        id: Uuid,
        fence: i64,
        message: &str,
        spans: &[Span],
    ) -> Result<(), Fault> {
        let message = without_nul(message);
        self.update_fenced(
            id,
            sqlx::query(RECORD_FAILURE)
                .bind(id)
                .bind(fence)
                .bind(message)
                .bind(spans::encode(spans)),
        )
        .await
    }

    /// Time since the last heartbeat of the run by the database's clock; `None` without a row or a heartbeat.
    pub async fn time_since_heartbeat(&self, run: Uuid) -> Result<Option<Duration>, Fault> {
        let select = "SELECT extract(epoch FROM now() - heartbeat_at)::float8 FROM tarana_sync_logs
                      WHERE id = $1 AND heartbeat_at IS NOT NULL";
        let mut tx = self.db.begin().await?;
        let row = tx.optional(sqlx::query(select).bind(run)).await?;
        let seconds: Option<f64> = row.map(|r| tx.get(&r, 0)).transpose()?;
        tx.commit().await?;
        Ok(seconds.map(|s| Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX)))
    }

    /// Runs an update whose WHERE clause compares the fence.
    async fn update_fenced(&self, id: Uuid, update: Statement<'_>) -> Result<(), Fault> {
        let mut tx = self.db.begin().await?;
        let touched = tx.execute(update).await?;
        tx.commit().await?;
        if touched == 0 { Err(superseded(id)) } else { Ok(()) }
    }
}
