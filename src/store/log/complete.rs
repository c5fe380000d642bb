//! Completes the log row of a run, inside the Apply transaction.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::closed_row::{self, ClosedRow};
use super::errors;
use super::spans::{self, Span};
use crate::fault::Reason;
use crate::station::Plan;
use crate::store::db::Tx;
use crate::store::error::DbError;

pub(super) fn update_sql() -> String {
    format!(
        "UPDATE tarana_sync_logs SET status = 'completed', outcome = 'completed', reason = $2, message = $3,
             stations_fetched = $4, inserted = $5, updated = $6, unchanged = $7,
             deleted = $8, skipped = $9, withheld = $10, listing = $12, proof = $13, spans = coalesce($14, spans), stale = $15,
             errors = coalesce(errors, '[]') || $11, heartbeat_at = now(), completed_at = clock_timestamp(),
             duration_ms = least(extract(epoch FROM clock_timestamp() - started_at) * 1000, 2147483647)::int
         WHERE id = $1 RETURNING {}",
        closed_row::COLUMNS
    )
}

/// Writes the final row of a completed run and returns it. Why deletes were withheld is stored here, so that it can be
/// reported after a crash.
pub(in crate::store) async fn complete(
    tx: &mut Tx,
    run: Uuid,
    plan: &Plan,
    spans: &[Span],
) -> Result<ClosedRow, DbError> {
    let clock = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    let clock = tx.one(sqlx::query(clock)).await?;
    let errors = errors::of_plan(plan, &tx.get::<String>(&clock, 0)?);
    let withheld = plan.withheld_because.as_deref();
    let reason = if withheld.is_some() {
        Reason::DeletesWithheld
    } else {
        Reason::Completed
    };
    let mut statement = sqlx::query(AssertSqlSafe(update_sql()))
        .bind(run)
        .bind(reason.as_str())
        .bind(withheld);
    // The columns are int, as other programs expect.
    let int = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    let counts = &plan.counts;
    for count in [
        counts.fetched,
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.deleted,
        counts.skipped,
        counts.withheld,
    ] {
        statement = statement.bind(int(count));
    }
    let statement = statement
        .bind(errors)
        .bind(plan.listing.as_str())
        .bind(plan.proof.as_str())
        .bind(spans::encode(spans))
        .bind(int(counts.stale));
    let row = tx.one(statement).await?;
    closed_row::decode(tx, &row)
}
