//! Deletes old events, changes and log rows, in batches with a transaction each, so that no lock is held for long.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::error::DbError;
use super::handle::Store;
use crate::fault::Fault;

/// Rows of a batch. A run has many batches of changes, so that few runs are enough.
const EVENTS_PER_BATCH: i64 = 1000;
const RUNS_PER_BATCH: i64 = 10;
const LOGS_PER_BATCH: i64 = 200;
/// Batches of one kind in one pass. The next pass continues.
const MAX_BATCHES: usize = 100;
/// Log rows that other tables refer to which one pass tries to delete. Each costs some statements.
const MAX_REFERENCED: usize = 100;

/// The log rows of the scope, as in a sweep: those of a connection, and those that the same cluster wrote for a connection in the same
/// namespace that may no longer exist. Rows of other programs are not in it.
const IN_SCOPE: &str = "(l.connection_uid = $1 OR (l.cluster_uid = $2 AND l.namespace = $3))";

/// For how many days rows are kept; `None` keeps them for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Log rows of runs without changes. A row with changes is kept as long as they are.
    pub log_days: Option<i32>,
    /// The changes of a run.
    pub change_days: Option<i32>,
    /// Events, delivered or not.
    pub outbox_days: Option<i32>,
}

/// Which rows may be deleted.
#[derive(Clone, Copy, Debug)]
pub struct RetentionScope<'a> {
    /// `metadata.uid` of the connection.
    pub connection_uid: Uuid,
    /// The cluster, if it is known.
    pub cluster_uid: Option<Uuid>,
    /// Namespace of the connection.
    pub namespace: &'a str,
    /// Runs whose objects still exist: their log rows are kept.
    pub existing: &'a [Uuid],
}

/// The number of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedRows {
    /// Events.
    pub events: u64,
    /// Batches of changes.
    pub change_batches: u64,
    /// Log rows.
    pub logs: u64,
    /// Log rows that are kept because other tables refer to them.
    pub referenced: usize,
}

impl Store {
    /// Deletes what is older than the retention. The newest successful run of each connection is kept, and so are log rows that other
    /// tables refer to by a foreign key that forbids the deletion.
    pub async fn delete_expired(
        &self,
        scope: &RetentionScope<'_>,
        retention: Retention,
    ) -> Result<DeletedRows, Fault> {
        let mut deleted = DeletedRows::default();
        if let Some(days) = retention.outbox_days {
            let delete = format!(
                "DELETE FROM tarana_sync_outbox WHERE id IN (
                     SELECT o.id FROM tarana_sync_outbox o JOIN tarana_sync_logs l ON l.id = o.run
                     WHERE {IN_SCOPE} AND o.created_at < now() - make_interval(days => $4) LIMIT $5)"
            );
            deleted.events = self
                .delete_in_batches(scope, &delete, days, EVENTS_PER_BATCH)
                .await?;
        }
        if let Some(days) = retention.change_days {
            let delete = format!(
                "DELETE FROM tarana_sync_change_batches WHERE run IN (
                     SELECT l.id FROM tarana_sync_logs l
                     WHERE {IN_SCOPE} AND l.completed_at < now() - make_interval(days => $4)
                         AND EXISTS (SELECT FROM tarana_sync_change_batches b WHERE b.run = l.id)
                     ORDER BY l.completed_at LIMIT $5)"
            );
            deleted.change_batches = self
                .delete_in_batches(scope, &delete, days, RUNS_PER_BATCH)
                .await?;
        }
        if let Some(days) = retention.log_days {
            (deleted.logs, deleted.referenced) = self.delete_logs(scope, days).await?;
        }
        Ok(deleted)
    }

    /// Repeats a statement until it deletes nothing.
    async fn delete_in_batches(
        &self,
        scope: &RetentionScope<'_>,
        delete: &str,
        days: i32,
        limit: i64,
    ) -> Result<u64, Fault> {
        let mut deleted = 0;
        for _ in 0..MAX_BATCHES {
            let statement = sqlx::query(AssertSqlSafe(delete))
                .bind(scope.connection_uid)
                .bind(scope.cluster_uid)
                .bind(scope.namespace)
                .bind(days)
                .bind(limit);
            let mut tx = self.db.begin().await?;
            let batch = tx.execute(statement).await?;
            tx.commit().await?;
            deleted += batch;
            if batch == 0 {
                break;
            }
        }
        Ok(deleted)
    }

    /// The numbers of log rows that were deleted, and that other tables refer to.
    async fn delete_logs(&self, scope: &RetentionScope<'_>, days: i32) -> Result<(u64, usize), Fault> {
        let (mut deleted, mut referenced) = (0, Vec::new());
        for _ in 0..MAX_BATCHES {
            let expired = self.expired_logs(scope, days, &referenced).await?;
            if expired.is_empty() || referenced.len() >= MAX_REFERENCED {
                break;
            }
            let mut batches = vec![expired];
            while let Some(batch) = batches.pop() {
                match self.try_delete_logs(&batch).await {
                    Ok(number) => deleted += number,
                    Err(error) if !is_reference(&error) => return Err(error.into()),
                    // The error names no row, so halves are tried.
                    Err(_) if batch.len() > 1 => {
                        let (older, newer) = batch.split_at(batch.len() / 2);
                        batches.extend([newer.to_vec(), older.to_vec()]);
                    }
                    Err(_) => referenced.extend(batch),
                }
            }
        }
        Ok((deleted, referenced.len()))
    }

    /// The oldest log rows that have expired, without those that are known to be referenced.
    async fn expired_logs(
        &self,
        scope: &RetentionScope<'_>,
        days: i32,
        referenced: &[Uuid],
    ) -> Result<Vec<Uuid>, Fault> {
        let select = format!(
            "SELECT l.id FROM tarana_sync_logs l
             WHERE {IN_SCOPE} AND l.status IN ('completed', 'failed') AND l.completed_at < now() - make_interval(days => $4)
                 AND l.id <> ALL ($5)
                 AND NOT EXISTS (SELECT FROM tarana_sync_change_batches b WHERE b.run = l.id)
                 AND (l.outcome <> 'completed' OR l.dry_run OR EXISTS (
                     SELECT FROM tarana_sync_logs newer
                     WHERE newer.connection_uid = l.connection_uid AND newer.outcome = 'completed' AND NOT newer.dry_run
                         AND (newer.completed_at, newer.id) > (l.completed_at, l.id)))
             ORDER BY l.completed_at LIMIT $6"
        );
        let kept = [scope.existing, referenced].concat();
        let statement = sqlx::query(AssertSqlSafe(select))
            .bind(scope.connection_uid)
            .bind(scope.cluster_uid)
            .bind(scope.namespace)
            .bind(days)
            .bind(kept)
            .bind(LOGS_PER_BATCH);
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx.all(statement).await?;
        let ids: Result<_, DbError> = rows.iter().map(|row| tx.get(row, 0)).collect();
        tx.commit().await?;
        Ok(ids?)
    }

    async fn try_delete_logs(&self, ids: &[Uuid]) -> Result<u64, DbError> {
        let delete = "DELETE FROM tarana_sync_logs WHERE id = ANY ($1)";
        let mut tx = self.db.begin().await?;
        match tx.execute(sqlx::query(delete).bind(ids.to_vec())).await {
            Ok(deleted) => {
                // A deferred constraint is checked here.
                tx.commit().await?;
                Ok(deleted)
            }
            Err(error) => {
                if is_reference(&error) {
                    tx.rollback().await?;
                }
                Err(error)
            }
        }
    }
}

/// Whether another table refers to a row: `foreign_key_violation`, or `restrict_violation` since PostgreSQL 18.
fn is_reference(error: &DbError) -> bool {
    error.has_code("23503") || error.has_code("23001")
}
