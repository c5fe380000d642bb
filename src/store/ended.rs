//! How a run ended, as its log row says. The row is the truth; the object mirrors it.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::station::Counts;

/// The three ends. In `status`, which older programs read, a cancelled run is `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that was asked was done.
    Completed,
    /// It could not be done.
    Failed,
    /// It was not wanted any more.
    Cancelled,
}

impl Outcome {
    /// The word in the column `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which of the three.
    pub outcome: Outcome,
    /// What it did, or for a dry run would have done.
    pub counts: Counts,
    /// From the first opening to the end, by the database's clock.
    pub duration_ms: i64,
    /// The word of the object's condition; `None` in rows of other programs.
    pub reason: Option<String>,
    /// Why it failed, or why deletes were withheld.
    pub message: Option<String>,
    /// Which listing was read and how it was proven whole, of a run that completed.
    pub reading: Option<(String, String)>,
    /// When, by the database's clock.
    pub completed_at: Timestamp,
}

/// The columns that [`read`] reads, in its order, for a `SELECT` or `RETURNING`.
pub(super) const COLUMNS: &str = "
    coalesce(outcome, status), coalesce(stations_fetched, 0)::int8, coalesce(inserted, 0)::int8,
    coalesce(updated, 0)::int8, coalesce(unchanged, 0)::int8, coalesce(deleted, 0)::int8,
    coalesce(skipped, 0)::int8, coalesce(withheld, 0)::int8, coalesce(duration_ms, 0)::int8, reason, message,
    (extract(epoch FROM coalesce(completed_at, created_at, now())) * 1000000)::int8, listing, proof";

/// Reads [`COLUMNS`] of a row that is final.
pub(super) fn read(row: &PgRow) -> Result<Ended, sqlx::Error> {
    let outcome: String = row.try_get(0)?;
    let completed_at = Timestamp::from_microsecond(row.try_get(11)?);
    Ok(Ended {
        outcome: match outcome.as_str() {
            "completed" => Outcome::Completed,
            "cancelled" => Outcome::Cancelled,
            _ => Outcome::Failed,
        },
        counts: Counts {
            fetched: row.try_get(1)?,
            inserted: row.try_get(2)?,
            updated: row.try_get(3)?,
            unchanged: row.try_get(4)?,
            deleted: row.try_get(5)?,
            skipped: row.try_get(6)?,
            withheld: row.try_get(7)?,
        },
        duration_ms: row.try_get(8)?,
        reason: row.try_get(9)?,
        message: row.try_get(10)?,
        reading: row
            .try_get::<Option<String>, _>(12)?
            .zip(row.try_get::<Option<String>, _>(13)?),
        completed_at: completed_at.map_err(|e| sqlx::Error::Decode(e.into()))?,
    })
}
