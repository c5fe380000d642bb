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

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The rows that it closed.
    pub closed: Vec<Uuid>,
    /// The rows that it could not close: id, name of the run, and why.
    pub failed: Vec<(Uuid, String, Fault)>,
}

impl Store {
    /// The open rows of the scope whose runs are not live. Rows without a connection (of the function that this operator replaces) only after
    /// an hour without a heartbeat.
    pub async fn abandoned_rows(&self, scope: &SweepScope<'_>) -> Result<Vec<AbandonedRow>, Fault> {
        let mut tx = self.db.begin().await?;
        let abandoned = find_abandoned(&mut tx, scope, None).await?;
        tx.rollback().await?;
        Ok(abandoned)
    }

    /// Closes those of these rows that are still abandoned, each as `end` decides and in a transaction of its own: one that cannot be closed
    /// delays no other. Those without a connection are closed in the columns that the function knows. Rows that are locked by another
    /// transaction are skipped.
    pub async fn sweep(
        &self,
        scope: &SweepScope<'_>,
        rows: Vec<AbandonedRow>,
        end: impl Fn(&AbandonedRow) -> SweptEnd,
    ) -> Result<Swept, Fault> {
        let mut swept = Swept::default();
        for row in rows {
            match self.sweep_row(scope, &row, &end(&row)).await {
                Ok(true) => swept.closed.push(row.id),
                Ok(false) => {}
                Err(fault) if fault.reason == Reason::DatabaseUnreachable => return Err(fault),
                Err(fault) => swept.failed.push((row.id, row.name, fault)),
            }
        }
        Ok(swept)
    }

    /// Returns whether the row was still abandoned, and not locked.
    async fn sweep_row(
        &self,
        scope: &SweepScope<'_>,
        row: &AbandonedRow,
        end: &SweptEnd,
    ) -> Result<bool, Fault> {
        let mut tx = self.db.begin().await?;
        let found = find_abandoned(&mut tx, scope, Some(row.id)).await?;
        if found.is_empty() {
            tx.rollback().await?;
            return Ok(false);
        }
        if row.has_connection {
            close(&mut tx, row.id, end).await?;
            outbox::enqueue_ends(&mut tx, &[row.id]).await?;
        } else {
            close_foreign(&mut tx, row.id, &end.message).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// A row that no process will close.
#[derive(Clone, Debug)]
pub struct AbandonedRow {
    /// The run.
    pub id: Uuid,
    /// Name of the run.
    pub name: String,
    /// The run has not started.
    pub is_pending: bool,
    /// The function that this operator replaces knows no connections.
    has_connection: bool,
}

/// The abandoned rows of the scope, or this one of them, which is then locked.
async fn find_abandoned(
    tx: &mut Tx,
    scope: &SweepScope<'_>,
    only: Option<Uuid>,
) -> Result<Vec<AbandonedRow>, DbError> {
    let lock = if only.is_some() {
        "FOR UPDATE SKIP LOCKED"
    } else {
        ""
    };
    let select = format!(
        "SELECT id, coalesce(name, id::text), connection_uid IS NOT NULL, status = 'pending' FROM tarana_sync_logs
         WHERE status IN ('pending', 'running') AND id <> ALL ($1) AND id = coalesce($6, id) AND (
             ((connection_uid = $2 OR (cluster_uid = $3 AND namespace = $4))
              AND greatest(created_at, started_at, heartbeat_at) < now() - $5 * interval '1 second')
             OR (connection_uid IS NULL AND status = 'running'
                 AND greatest(created_at, started_at, heartbeat_at) < now() - interval '1 hour'))
         {lock}"
    );
    let statement = sqlx::query(AssertSqlSafe(select))
        .bind(scope.live.to_vec())
        .bind(scope.connection_uid)
        .bind(scope.cluster_uid)
        .bind(scope.namespace)
        .bind(scope.grace.as_secs_f64())
        .bind(only);
    let rows = tx.all(statement).await?;
    let decode = |row| {
        Ok(AbandonedRow {
            id: tx.get(row, 0)?,
            name: tx.get(row, 1)?,
            has_connection: tx.get(row, 2)?,
            is_pending: tx.get(row, 3)?,
        })
    };
    rows.iter().map(decode).collect()
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

/// Leaves our columns alone: if the function completes its run later after all, its row says so, and nothing contradicts it.
async fn close_foreign(tx: &mut Tx, id: Uuid, message: &str) -> Result<(), DbError> {
    let update = "
        UPDATE tarana_sync_logs SET status = 'failed', completed_at = clock_timestamp(),
            duration_ms = least(coalesce(extract(epoch FROM clock_timestamp() - started_at), 0) * 1000, 2147483647)::int,
            errors = coalesce(errors, '[]') || jsonb_build_object('message', $2::text, 'timestamp', now())
        WHERE id = $1";
    let statement = sqlx::query(update).bind(id).bind(without_nul(message));
    tx.execute(statement).await.map(drop)
}
