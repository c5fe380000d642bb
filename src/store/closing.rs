//! The end of a run that did not complete, and the end of rows that nobody will end.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Store;
use super::db::Tx;
use super::ended::{self, Ended, Outcome};
use super::error::DbError;
use super::logs::{Run, find_end, printable, superseded};
use super::outbox;
use crate::fault::{Fault, Reason};

/// How to end a run.
#[derive(Clone, Debug)]
pub struct Closing {
    /// [`Outcome::Failed`] or [`Outcome::Cancelled`]; only [`super::Apply::finish`] completes a run.
    pub outcome: Outcome,
    /// The word of the object's condition.
    pub reason: Reason,
    /// For a person.
    pub message: String,
    /// The attempt that was the last.
    pub attempt: i32,
    /// The number under which the run was opened: a process that was superseded must not end what another goes on
    /// with. `None` for a run that this process never opened, and for one that is cancelled whoever has it.
    pub fence: Option<i64>,
}

impl Store {
    /// Ends the run, and says how it ended: as asked, or as it had ended before. Can be repeated.
    pub async fn close(&self, run: &Run, closing: &Closing) -> Result<Ended, Fault> {
        for _ in 0..2 {
            let mut tx = self.db.begin().await?;
            if let Some(ended) = end(&mut tx, run.id, closing).await? {
                outbox::announce(&mut tx, &[run.id]).await?;
                tx.commit().await?;
                return Ok(ended);
            }
            if let Some(ended) = find_end(&mut tx, run.id).await? {
                tx.commit().await?;
                return Ok(ended);
            }
            tx.rollback().await?;
            if closing.fence.is_some() {
                break;
            }
            // Cancelled before it was ever opened: it leaves a row all the same.
            self.register(run).await?;
        }
        Err(superseded(run.id))
    }

    /// How the run ended, or `None` while it has not.
    pub async fn ended(&self, id: Uuid) -> Result<Option<Ended>, Fault> {
        let mut tx = self.db.begin().await?;
        let ended = find_end(&mut tx, id).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends as failed, reason `Abandoned`, what nobody will end: rows of this connection that are not `live` and older
    /// than `grace`, and rows without a connection (the function that was here before) that have been running without a
    /// sign of life for an hour. Rows that somebody holds at this moment are left alone. Returns whom it ended.
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
            .bind("no process was left that went on with this run")
            .bind(None::<i32>)
            .bind(connection_uid)
            .bind(live.to_vec())
            .bind(grace.as_secs_f64());
        let rows = tx.all(statement).await?;
        let swept: Vec<Uuid> = rows.iter().map(|r| tx.get(r, 0)).collect::<Result<_, _>>()?;
        if !swept.is_empty() {
            outbox::announce(&mut tx, &swept).await?;
        }
        tx.commit().await?;
        Ok(swept)
    }
}

/// What makes a row final; arguments 1 to 4. The fence goes up as well, so that nobody who still has the old number
/// can write. `errors` keeps the form that older programs read.
const CLOSE: &str = "
    status = 'failed', outcome = $1, reason = $2, message = $3, attempt = coalesce($4, attempt),
    fence = coalesce(fence, 0) + 1, completed_at = clock_timestamp(),
    duration_ms = least(coalesce(extract(epoch FROM clock_timestamp() - started_at), 0) * 1000, 2147483647)::int,
    errors = coalesce(errors, '[]') || jsonb_build_object('message', $3::text, 'timestamp', now())";

async fn end(tx: &mut Tx, id: Uuid, closing: &Closing) -> Result<Option<Ended>, DbError> {
    let update = format!(
        "UPDATE tarana_sync_logs SET {CLOSE}
         WHERE id = $5 AND status IN ('pending', 'running') AND coalesce(fence = $6, $6 IS NULL)
         RETURNING {}",
        ended::COLUMNS
    );
    let statement = sqlx::query(AssertSqlSafe(update))
        .bind(closing.outcome.as_str())
        .bind(closing.reason.as_str())
        .bind(printable(&closing.message))
        .bind(closing.attempt)
        .bind(id)
        .bind(closing.fence);
    let row = tx.optional(statement).await?;
    row.map(|r| ended::read(&r).map_err(|e| DbError::new(tx.target(), e)))
        .transpose()
}
