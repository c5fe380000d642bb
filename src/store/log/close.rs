//! Closes the log row of a run that did not complete.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::closed_row::{self, ClosedRow, Outcome};
use super::open::superseded;
use super::run_info::RunInfo;
use super::spans::{self, Span};
use super::text::without_nul;
use crate::fault::{Fault, Reason};
use crate::store::db::Tx;
use crate::store::error::DbError;
use crate::store::handle::Store;
use crate::store::outbox;

/// How to close a row.
#[derive(Clone, Debug)]
pub struct CloseRequest {
    /// [`Outcome::Failed`] or [`Outcome::Cancelled`]; only [`Apply::finish`](crate::store::Apply::finish) completes a run.
    pub outcome: Outcome,
    /// Reason of the object's condition.
    pub reason: Reason,
    /// Message of the object's condition.
    pub message: String,
    /// Number of the last attempt.
    pub attempt: i32,
    /// The fence of this process, so that a superseded process cannot close a run that another one continues. `None` for a
    /// run that this process never opened, and for a cancellation, which applies whoever owns the run.
    pub fence: Option<i64>,
    /// The spans of the run, and the fence of the process that recorded them: only the owner of the row writes them, whoever may
    /// close it.
    pub spans: Option<(i64, Vec<Span>)>,
}

impl Store {
    /// Closes the row and returns it: as requested, or as it had been closed before. Idempotent.
    pub async fn close(&self, run: &RunInfo, request: &CloseRequest) -> Result<ClosedRow, Fault> {
        for _ in 0..2 {
            let mut tx = self.db.begin().await?;
            if let Some(row) = update(&mut tx, run.id, request).await? {
                outbox::enqueue_ends(&mut tx, &[run.id]).await?;
                tx.commit().await?;
                return Ok(row);
            }
            if let Some(row) = closed_row::find(&mut tx, run.id).await? {
                tx.commit().await?;
                return Ok(row);
            }
            tx.rollback().await?;
            if request.fence.is_some() {
                break;
            }
            // The run ended before it was opened. It leaves a row all the same.
            self.register(run).await?;
        }
        Err(superseded(run.id))
    }

    /// Whether the run has a row, open or closed.
    pub async fn has_log_row(&self, id: Uuid) -> Result<bool, Fault> {
        self.exists("SELECT EXISTS (SELECT FROM tarana_sync_logs WHERE id = $1)", id)
            .await
    }

    /// Whether the run has a row that is not closed.
    pub async fn has_open_row(&self, id: Uuid) -> Result<bool, Fault> {
        let select =
            "SELECT EXISTS (SELECT FROM tarana_sync_logs WHERE id = $1 AND status IN ('pending', 'running'))";
        self.exists(select, id).await
    }

    async fn exists(&self, select: &'static str, id: Uuid) -> Result<bool, Fault> {
        let mut tx = self.db.begin().await?;
        let row = tx.one(sqlx::query(select).bind(id)).await?;
        let exists = tx.get(&row, 0)?;
        tx.commit().await?;
        Ok(exists)
    }

    /// The row of a run that has ended, else `None`.
    pub async fn closed_row(&self, id: Uuid) -> Result<Option<ClosedRow>, Fault> {
        let mut tx = self.db.begin().await?;
        let row = closed_row::find(&mut tx, id).await?;
        tx.commit().await?;
        Ok(row)
    }
}

/// The assignments that close a row; parameters 1 to 4. The fence increases, so that no process with the old one can
/// write. `errors` keeps the format that older programs read.
pub(super) const CLOSE: &str = "
    status = 'failed', outcome = $1, reason = $2, message = $3, attempt = coalesce($4, attempt),
    fence = coalesce(fence, 0) + 1, completed_at = clock_timestamp(),
    duration_ms = least(coalesce(extract(epoch FROM clock_timestamp() - started_at), 0) * 1000, 2147483647)::int,
    errors = coalesce(errors, '[]') || jsonb_build_object('message', $3::text, 'timestamp', now())";

pub(super) fn update_sql() -> String {
    format!(
        "UPDATE tarana_sync_logs SET {CLOSE},
             spans = CASE WHEN tarana_sync_logs.fence = $7 THEN coalesce($8, spans) ELSE spans END
         WHERE id = $5 AND status IN ('pending', 'running') AND coalesce(fence = $6, $6 IS NULL)
         RETURNING {}",
        closed_row::COLUMNS
    )
}

async fn update(tx: &mut Tx, id: Uuid, request: &CloseRequest) -> Result<Option<ClosedRow>, DbError> {
    let statement = sqlx::query(AssertSqlSafe(update_sql()))
        .bind(request.outcome.as_str())
        .bind(request.reason.as_str())
        .bind(without_nul(&request.message))
        .bind(request.attempt)
        .bind(id)
        .bind(request.fence)
        .bind(request.spans.as_ref().map(|(fence, _)| *fence))
        .bind(request.spans.as_ref().and_then(|(_, spans)| spans::encode(spans)));
    let row = tx.optional(statement).await?;
    row.map(|r| closed_row::decode(tx, &r)).transpose()
}
