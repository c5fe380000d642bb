//! Closes log rows that no process will close.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::close::CLOSE;
use super::closed_row::Outcome;
use super::text::without_nul;
use crate::fault::{Fault, Reason};
use crate::store::db::Tx;
use crate::store::error::DbError;
use crate::store::handle::Store;
use crate::store::outbox;

/// The rows that a sweep may close: those of a connection, and those that the same cluster wrote for a connection in the same
/// namespace that may no longer exist.
#[derive(Clone, Copy, Debug)]
pub struct SweepScope<'a> {
    /// `metadata.uid` of the connection.
    pub connection_uid: Uuid,
    /// The cluster, if it is known.
    pub cluster_uid: Option<Uuid>,
    /// Namespace of the connection.
    pub namespace: &'a str,
    /// The unfinished runs of the namespace.
    pub live: &'a [Uuid],
    /// A younger row may belong to an object that the caller does not know yet.
    pub grace: Duration,
}

/// How a row is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweptEnd {
    /// [`Outcome::Failed`] or [`Outcome::Cancelled`].
    pub outcome: Outcome,
    /// Reason.
    pub reason: Reason,
    /// Message.
    pub message: String,
}

impl Store {
    /// Closes open rows of the scope whose runs are not live, each as `end` decides, and returns their ids. Rows without a
    /// connection (of the function that this operator replaces) are closed after an hour without a heartbeat. Rows that are
    /// locked by another transaction are skipped.
    pub async fn sweep(
        &self,
        scope: &SweepScope<'_>,
        end: impl Fn(Uuid) -> SweptEnd,
    ) -> Result<Vec<Uuid>, Fault> {
        let mut tx = self.db.begin().await?;
        let open = lock_abandoned(&mut tx, scope).await?;
        for id in &open {
            close(&mut tx, *id, &end(*id)).await?;
        }
        if !open.is_empty() {
            outbox::enqueue_ends(&mut tx, &open).await?;
        }
        tx.commit().await?;
        Ok(open)
    }
}

async fn lock_abandoned(tx: &mut Tx, scope: &SweepScope<'_>) -> Result<Vec<Uuid>, DbError> {
    let select = "
        SELECT id FROM tarana_sync_logs
        WHERE status IN ('pending', 'running') AND id <> ALL ($1) AND (
            ((connection_uid = $2 OR (cluster_uid = $3 AND namespace = $4))
             AND greatest(created_at, started_at, heartbeat_at) < now() - $5 * interval '1 second')
            OR (connection_uid IS NULL AND status = 'running'
                AND greatest(created_at, started_at, heartbeat_at) < now() - interval '1 hour'))
        FOR UPDATE SKIP LOCKED";
    let statement = sqlx::query(select)
        .bind(scope.live.to_vec())
        .bind(scope.connection_uid)
        .bind(scope.cluster_uid)
        .bind(scope.namespace)
        .bind(scope.grace.as_secs_f64());
    let rows = tx.all(statement).await?;
    rows.iter().map(|row| tx.get(row, 0)).collect()
}

async fn close(tx: &mut Tx, id: Uuid, end: &SweptEnd) -> Result<(), DbError> {
    let update = format!("UPDATE tarana_sync_logs SET {CLOSE} WHERE id = $5");
    let statement = sqlx::query(AssertSqlSafe(update))
        .bind(end.outcome.as_str())
        .bind(end.reason.as_str())
        .bind(without_nul(&end.message))
        .bind(None::<i32>)
        .bind(id);
    tx.execute(statement).await.map(drop)
}
