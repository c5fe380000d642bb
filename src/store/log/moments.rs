//! Reads the starts and ends of runs in the order in which they happened, for the timeline of a connection.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::counts::{self, count_columns};
use crate::fault::Fault;
use crate::station::RunCounts;
use crate::store::handle::Store;

/// The start or the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunMoment {
    /// When it happened, by the database's clock.
    pub at: Timestamp,
    /// Whether it is the end.
    pub is_end: bool,
    /// Uid of the run's object, if it had one.
    pub run: Uuid,
    /// Name of the run; `None` in rows of other programs.
    pub name: Option<String>,
    /// `completed`, `failed` or `cancelled`, once it has ended.
    pub outcome: String,
    /// `cron` or `manual`.
    pub trigger_type: String,
    /// Who requested it, as free text.
    pub actor: Option<String>,
    /// Whether it only plans.
    pub dry_run: bool,
    /// What it did.
    pub counts: RunCounts,
    /// Reason of its end.
    pub reason: Option<String>,
    /// Why it failed, or why deletes were withheld.
    pub message: Option<String>,
}

/// Which moments to list.
#[derive(Clone, Copy, Debug)]
pub struct MomentQuery<'a> {
    /// Namespace. Rows without one match any.
    pub namespace: &'a str,
    /// Connection. Rows without one match any.
    pub connection: &'a str,
    /// Only moments before this time, in microseconds since 1970, and run.
    pub before: Option<(i64, Uuid)>,
    /// Maximum number of moments.
    pub limit: i64,
}

/// The columns that [`read`] expects after time, kind and id, in its order.
const COLUMNS: &str = concat!(
    "
    name, coalesce(outcome, status), trigger_type, nullif(actor, ''), coalesce(dry_run, false), ",
    count_columns!(),
    ", reason, message"
);
const OF_CONNECTION: &str =
    "(namespace IS NULL OR namespace = $1) AND (connection IS NULL OR connection = $2)";

impl Store {
    /// Starts and ends of runs, newest first. A run that ended at the time of its start has an end only.
    pub async fn run_moments(&self, query: &MomentQuery<'_>) -> Result<Vec<RunMoment>, Fault> {
        let select = format!(
            "(SELECT (extract(epoch FROM started_at) * 1000000)::int8, false, id, {COLUMNS} FROM tarana_sync_logs
              WHERE {OF_CONNECTION} AND started_at IS NOT NULL AND started_at IS DISTINCT FROM completed_at
                AND ($3::int8 IS NULL OR (started_at, id) < ('epoch'::timestamptz + $3 * interval '1 microsecond', $4))
              ORDER BY started_at DESC, id DESC LIMIT $5)
             UNION ALL
             (SELECT (extract(epoch FROM completed_at) * 1000000)::int8, true, id, {COLUMNS} FROM tarana_sync_logs
              WHERE {OF_CONNECTION} AND completed_at IS NOT NULL
                AND ($3::int8 IS NULL OR (completed_at, id) < ('epoch'::timestamptz + $3 * interval '1 microsecond', $4))
              ORDER BY completed_at DESC, id DESC LIMIT $5)
             ORDER BY 1 DESC, 3 DESC LIMIT $5"
        );
        let (time, id) = query.before.unzip();
        let statement = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(query.namespace)
            .bind(query.connection)
            .bind(time)
            .bind(id)
            .bind(query.limit);
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx.all(statement).await?;
        tx.commit().await?;
        Ok(self.db.target().decode(&rows, read)?)
    }
}

fn read(row: &PgRow) -> Result<RunMoment, sqlx::Error> {
    Ok(RunMoment {
        at: Timestamp::from_microsecond(row.try_get(0)?).unwrap_or_default(),
        is_end: row.try_get(1)?,
        run: row.try_get(2)?,
        name: row.try_get(3)?,
        outcome: row.try_get(4)?,
        trigger_type: row.try_get(5)?,
        actor: row.try_get(6)?,
        dry_run: row.try_get(7)?,
        counts: counts::read(row, 8)?,
        reason: row.try_get(16)?,
        message: row.try_get(17)?,
    })
}
