//! Reads log rows for the API: runs whose objects may be gone, and rows of other programs.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::attempts::{FailedAttempt, failed_attempts, is_failed_attempt};
use super::counts::{self, count_columns};
use super::spans::{self, Span};
use crate::fault::Fault;
use crate::station::RunCounts;
use crate::store::db::Statement;
use crate::store::handle::Store;

/// A run, as its log row describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRun {
    /// Uid of its object, if it had one.
    pub id: Uuid,
    /// `None` in rows of other programs, like the next two.
    pub namespace: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Name of its connection.
    pub connection: Option<String>,
    /// `pending`, `running`, `completed` or `failed`.
    pub status: String,
    /// `completed`, `failed` or `cancelled`, once it has ended.
    pub outcome: Option<String>,
    /// `cron` or `manual`.
    pub trigger_type: String,
    /// The application's user who requested it.
    pub triggered_by: Option<Uuid>,
    /// Who requested it, as free text.
    pub actor: Option<String>,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Whether it deletes stale rows.
    pub delete_stale: bool,
    /// What it did.
    pub counts: RunCounts,
    /// `[{message, timestamp}]`
    pub errors: Value,
    /// Number of its last attempt.
    pub attempt: i32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from `started_at` to `completed_at`.
    pub duration_ms: Option<i64>,
    /// Reason of the object's condition.
    pub reason: Option<String>,
    /// Why it failed, or why deletes were withheld.
    pub message: Option<String>,
    /// The listing that was read, and how it was proven complete.
    pub reading: Option<(String, String)>,
    /// What it did and what it waited for; only of a run that was read alone, and not in older rows.
    pub spans: Vec<Span>,
}

impl LoggedRun {
    /// The attempts that failed and were followed by another one, as far as they were recorded.
    pub fn failed_attempts(&self) -> Vec<FailedAttempt> {
        failed_attempts(&self.errors)
    }

    /// The entries of `errors` that are not part of an attempt: skipped records and notes, but neither failed attempts nor the end of the run.
    pub fn notes(&self) -> impl Iterator<Item = &Value> {
        let is_end = |entry: &Value| {
            let message = entry.get("message").and_then(Value::as_str);
            entry.get("kind").is_none() && message.is_some() && message == self.message.as_deref()
        };
        let entries = self.errors.as_array().map(Vec::as_slice).unwrap_or_default();
        entries
            .iter()
            .filter(move |entry| !is_failed_attempt(entry) && !is_end(entry))
    }
}

/// The order of a list of runs, by descending value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// By the time of creation, in microseconds since 1970.
    #[default]
    Newest,
    /// By the duration in milliseconds. Runs without one are not listed.
    Longest,
}

impl RunOrder {
    /// The column that sorts the runs, and the value of `$5` as that column's type.
    fn sql(self) -> (&'static str, &'static str) {
        match self {
            Self::Newest => (
                "coalesce(created_at, 'epoch')",
                "'epoch'::timestamptz + $5 * interval '1 microsecond'",
            ),
            Self::Longest => ("duration_ms", "$5"),
        }
    }
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunQuery<'a> {
    /// Namespace. Rows without one match any.
    pub namespace: &'a str,
    /// Connection. Rows without one match any.
    pub connection: &'a str,
    /// `completed`, `failed`, `cancelled`, `pending` or `running`; empty means all.
    pub states: &'a [&'a str],
    /// `cron` or `manual`; empty means both.
    pub trigger_types: &'a [&'a str],
    /// Name of a schedule: only the runs of its slots. Their names are that of the schedule and a number.
    pub schedule: Option<&'a str>,
    /// Only runs that have ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Only runs that have ended before this time.
    pub ended_before: Option<Timestamp>,
    /// The order of the runs.
    pub order: RunOrder,
    /// Only runs after this position in the order: the value that sorts them, and the id.
    pub after: Option<(i64, Uuid)>,
    /// Maximum number of runs.
    pub limit: i64,
}

/// The columns that [`read`] expects, in its order, before the spans. Times are microseconds.
const COLUMNS: &str = concat!(
    "
    id, namespace, name, connection, status, outcome, trigger_type, triggered_by, actor,
    coalesce(dry_run, false), coalesce(delete_stale, false), ",
    count_columns!(),
    ",
    coalesce(errors, '[]'), coalesce(attempt, 1), (extract(epoch FROM coalesce(created_at, 'epoch')) * 1000000)::int8,
    (extract(epoch FROM started_at) * 1000000)::int8, (extract(epoch FROM completed_at) * 1000000)::int8,
    duration_ms::int8, reason, message, listing, proof"
);

/// What the log rows and the table say of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSummary {
    /// When the last run ended, whatever its outcome, in epoch seconds.
    pub last_run: Option<i64>,
    /// When the last successful run committed, in epoch seconds, and the number of base stations that it read.
    pub last_success: Option<(i64, i64)>,
    /// Deletes that were withheld in it.
    pub withheld: i64,
    /// Rows of the table whose station is online.
    pub online: i64,
    /// The other rows of the table.
    pub offline: i64,
}

impl Store {
    /// Runs in the order of the query.
    pub async fn logged_runs(&self, query: &RunQuery<'_>) -> Result<Vec<LoggedRun>, Fault> {
        let (key, position) = query.order.sql();
        let select = format!(
            "SELECT {COLUMNS}, NULL::text FROM tarana_sync_logs
             WHERE (namespace IS NULL OR namespace = $1) AND (connection IS NULL OR connection = $2)
               AND (cardinality($3::text[]) = 0 OR coalesce(outcome, status) = ANY ($3))
               AND (cardinality($4::text[]) = 0 OR trigger_type = ANY ($4))
               AND {key} IS NOT NULL AND ($5::int8 IS NULL OR ({key}, id) < ({position}, $6))
               AND ($7::text IS NULL OR trigger_type = 'cron' AND left(name, length($7) + 1) = $7 || '-'
                    AND substr(name, length($7) + 2) ~ '^[0-9]+$')
               AND ($8::int8 IS NULL OR completed_at >= 'epoch'::timestamptz + $8 * interval '1 microsecond')
               AND ($9::int8 IS NULL OR completed_at < 'epoch'::timestamptz + $9 * interval '1 microsecond')
             ORDER BY {key} DESC, id DESC LIMIT $10"
        );
        let (value, id) = query.after.unzip();
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let statement = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(query.namespace)
            .bind(query.connection)
            .bind(owned(query.states))
            .bind(owned(query.trigger_types))
            .bind(value)
            .bind(id)
            .bind(query.schedule)
            .bind(query.ended_from.map(Timestamp::as_microsecond))
            .bind(query.ended_before.map(Timestamp::as_microsecond))
            .bind(query.limit);
        self.fetch_runs(statement).await
    }

    /// One run.
    pub async fn logged_run(&self, id: Uuid) -> Result<Option<LoggedRun>, Fault> {
        let select = format!("SELECT {COLUMNS}, spans::text FROM tarana_sync_logs WHERE id = $1");
        let statement = sqlx::query(sqlx::AssertSqlSafe(select)).bind(id);
        Ok(self.fetch_runs(statement).await?.pop())
    }

    /// What the log rows and the table say of a connection. Dry runs do not count.
    pub async fn summary(&self, connection_uid: Uuid) -> Result<TableSummary, Fault> {
        let select = "
            SELECT (SELECT floor(extract(epoch FROM max(completed_at)))::int8 FROM tarana_sync_logs
                    WHERE connection_uid = $1 AND outcome IS NOT NULL AND NOT dry_run),
                   success.ended, success.fetched, coalesce(success.withheld, 0)::int8, stations.online, stations.offline
            FROM (SELECT count(*) FILTER (WHERE device_status = 1) AS online,
                         count(*) FILTER (WHERE device_status IS DISTINCT FROM 1) AS offline
                  FROM tarana_base_stations) stations
            LEFT JOIN (SELECT floor(extract(epoch FROM completed_at))::int8 AS ended,
                              coalesce(stations_fetched, 0)::int8 AS fetched, withheld
                       FROM tarana_sync_logs
                       WHERE connection_uid = $1 AND outcome = 'completed' AND NOT dry_run AND completed_at IS NOT NULL
                       ORDER BY completed_at DESC LIMIT 1) success ON true";
        let mut tx = self.db.begin().await?;
        let row = tx.one(sqlx::query(select).bind(connection_uid)).await?;
        let ended: Option<i64> = tx.get(&row, 1)?;
        let fetched: Option<i64> = tx.get(&row, 2)?;
        let summary = TableSummary {
            last_run: tx.get(&row, 0)?,
            last_success: ended.zip(fetched),
            withheld: tx.get(&row, 3)?,
            online: tx.get(&row, 4)?,
            offline: tx.get(&row, 5)?,
        };
        tx.commit().await?;
        Ok(summary)
    }

    async fn fetch_runs(&self, select: Statement<'_>) -> Result<Vec<LoggedRun>, Fault> {
        let mut tx = self.db.begin_read_only().await?;
        let rows = tx.all(select).await?;
        tx.commit().await?;
        Ok(self.db.target().decode(&rows, read)?)
    }
}

fn read(row: &PgRow) -> Result<LoggedRun, sqlx::Error> {
    let time = |at| {
        row.try_get::<Option<i64>, _>(at)
            .map(|t| t.and_then(|t| Timestamp::from_microsecond(t).ok()))
    };
    let listing: Option<String> = row.try_get(27)?;
    let proof: Option<String> = row.try_get(28)?;
    Ok(LoggedRun {
        id: row.try_get(0)?,
        namespace: row.try_get(1)?,
        name: row.try_get(2)?,
        connection: row.try_get(3)?,
        status: row.try_get(4)?,
        outcome: row.try_get(5)?,
        trigger_type: row.try_get(6)?,
        triggered_by: row.try_get(7)?,
        actor: row.try_get(8)?,
        dry_run: row.try_get(9)?,
        delete_stale: row.try_get(10)?,
        counts: counts::read(row, 11)?,
        errors: row.try_get(19)?,
        attempt: row.try_get(20)?,
        created_at: time(21)?.unwrap_or_default(),
        started_at: time(22)?,
        completed_at: time(23)?,
        duration_ms: row.try_get(24)?,
        reason: row.try_get(25)?,
        message: row.try_get(26)?,
        reading: listing.zip(proof),
        spans: spans::decode(row.try_get(29)?),
    })
}
