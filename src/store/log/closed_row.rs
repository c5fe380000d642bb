//! The log row of a run that has ended. The row is authoritative; the object mirrors it.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::counts::{self, count_columns};
use crate::station::RunCounts;
use crate::store::db::Tx;
use crate::store::error::DbError;

/// How a run ended. In `status`, which older programs read, a cancelled run is `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was requested was done.
    Completed,
    /// The run gave up.
    Failed,
    /// The run was cancelled, or its object was deleted.
    Cancelled,
}

impl Outcome {
    /// The value in the column `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The final row of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedRow {
    /// How the run ended.
    pub outcome: Outcome,
    /// What it did; for a dry run, what it would have done.
    pub counts: RunCounts,
    /// From the first `open` to the end, by the database's clock.
    pub duration_ms: i64,
    /// Reason of the object's condition; `None` in rows of other programs.
    pub reason: Option<String>,
    /// Why it failed, or why deletes were withheld.
    pub message: Option<String>,
    /// The listing that was read, and how it was proven complete; only of a completed run.
    pub reading: Option<(String, String)>,
    /// When it ended, by the database's clock.
    pub completed_at: Timestamp,
}

/// The columns that [`read`] expects, in its order, for `SELECT` or `RETURNING`.
pub(super) const COLUMNS: &str = concat!(
    "
    coalesce(outcome, status), ",
    count_columns!(),
    ",
    coalesce(duration_ms, 0)::int8, reason, message,
    (extract(epoch FROM coalesce(completed_at, created_at, now())) * 1000000)::int8, listing, proof"
);

/// The final row of a run, if it has ended.
pub(in crate::store) async fn find(tx: &mut Tx, id: Uuid) -> Result<Option<ClosedRow>, DbError> {
    let select =
        format!("SELECT {COLUMNS} FROM tarana_sync_logs WHERE id = $1 AND status IN ('completed', 'failed')");
    let row = tx
        .optional(sqlx::query(sqlx::AssertSqlSafe(select)).bind(id))
        .await?;
    row.map(|r| decode(tx, &r)).transpose()
}

/// Decodes [`COLUMNS`] of a final row.
pub(super) fn decode(tx: &Tx, row: &PgRow) -> Result<ClosedRow, DbError> {
    read(row).map_err(|e| DbError::new(tx.target(), e))
}

fn read(row: &PgRow) -> Result<ClosedRow, sqlx::Error> {
    let outcome: String = row.try_get(0)?;
    let completed_at = Timestamp::from_microsecond(row.try_get(12)?);
    Ok(ClosedRow {
        outcome: match outcome.as_str() {
            "completed" => Outcome::Completed,
            "cancelled" => Outcome::Cancelled,
            _ => Outcome::Failed,
        },
        counts: counts::read(row, 1)?,
        duration_ms: row.try_get(9)?,
        reason: row.try_get(10)?,
        message: row.try_get(11)?,
        reading: row
            .try_get::<Option<String>, _>(13)?
            .zip(row.try_get::<Option<String>, _>(14)?),
        completed_at: completed_at.map_err(|e| sqlx::Error::Decode(e.into()))?,
    })
}
