//! The transactional outbox: events about the end of runs, written in the transaction that ends the run and delivered
//! afterwards, at least once and in order.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::db::{Db, Tx};
use super::error::DbError;
use super::handle::Store;
use crate::fault::Fault;

/// An event that has not been delivered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent {
    /// Increasing number; the `id` of the `CloudEvent`.
    pub id: i64,
    /// The run that ended.
    pub run: Uuid,
    /// `tarana/sync.completed`, `tarana/sync.failed` or `tarana/sync.cancelled`.
    pub kind: String,
    /// The event's `data`.
    pub payload: serde_json::Value,
}

/// Writes the events of runs that this transaction has just closed, from their log rows. Idempotent per run.
pub(super) async fn enqueue(tx: &mut Tx, runs: &[Uuid]) -> Result<(), DbError> {
    let insert = "
        INSERT INTO tarana_sync_outbox (run, type, payload)
        SELECT id, 'tarana/sync.' || outcome,
               CASE outcome WHEN 'completed' THEN jsonb_build_object(
                   'sync_log_id', id, 'inserted', inserted, 'updated', updated,
                   'deleted', deleted, 'duration_ms', duration_ms, 'dry_run', dry_run)
               ELSE jsonb_build_object('sync_log_id', id, 'error', message, 'attempt', attempt) END
        FROM tarana_sync_logs WHERE id = ANY ($1) AND outcome IS NOT NULL
        ON CONFLICT (run, type) DO NOTHING";
    tx.execute(sqlx::query(insert).bind(runs.to_vec()))
        .await
        .map(|_| ())
}

impl Store {
    /// Undelivered events of a run, oldest first.
    pub async fn undelivered_events(&self, run: Uuid) -> Result<Vec<OutboxEvent>, Fault> {
        let select = "SELECT id, run, type, payload FROM tarana_sync_outbox
                      WHERE run = $1 AND delivered_at IS NULL ORDER BY id";
        let db: &Db = &self.db;
        let mut tx = db.begin().await?;
        let rows = tx.all(sqlx::query(select).bind(run)).await?;
        tx.commit().await?;
        Ok(db.target().decode(&rows, event)?)
    }

    /// Marks events as delivered.
    pub async fn mark_delivered(&self, ids: &[i64]) -> Result<(), Fault> {
        let update = "UPDATE tarana_sync_outbox SET delivered_at = now()
                      WHERE id = ANY ($1) AND delivered_at IS NULL";
        let mut tx = self.db.begin().await?;
        tx.execute(sqlx::query(update).bind(ids.to_vec())).await?;
        Ok(tx.commit().await?)
    }
}

fn event(row: &PgRow) -> Result<OutboxEvent, sqlx::Error> {
    Ok(OutboxEvent {
        id: row.try_get(0)?,
        run: row.try_get(1)?,
        kind: row.try_get(2)?,
        payload: row.try_get(3)?,
    })
}
