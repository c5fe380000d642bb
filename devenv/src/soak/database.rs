//! Reads the operator's tables, not through the proxy. Queries are retried while the server recovers.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Row as _};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::expected::TableDigest;
use super::row;
use crate::error::{Error, Result};

/// How long the server may take to recover.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Distinguishes the soak test's own connections from the operator's.
pub(super) const APPLICATION_NAME: &str = "soak";

/// The log row, change rows and outbox rows of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunRecord {
    /// The log row as JSON; null when there is none.
    pub(super) row: Value,
    pub(super) outbox: i64,
    /// The number of change rows.
    pub(super) applied: i64,
    pub(super) planned: i64,
}

/// The size of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DatabaseSize {
    pub(super) connections: i64,
    pub(super) bytes: i64,
    pub(super) changes_bytes: i64,
    pub(super) logs: i64,
}

/// A pool of connections to the database.
pub(super) struct Database {
    pool: PgPool,
}

impl Database {
    pub(super) fn new(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .application_name(APPLICATION_NAME)
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// The digest of the table.
    pub(super) async fn table_digest(&self) -> Result<TableDigest> {
        let sql = format!(
            "select count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(line, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint), 0)::text
             from (select {} as line from tarana_base_stations) t",
            row::expression()
        );
        let rows = self.query(&sql, None).await?;
        let row = first_row(&rows)?;
        let sum: String = row.try_get(1)?;
        let sum = sum
            .parse()
            .map_err(|_| Error::Unexpected(format!("not a digest: {sum:?}")))?;
        Ok(TableDigest {
            rows: row.try_get(0)?,
            sum,
        })
    }

    /// The text of every row, by serial.
    pub(super) async fn table_rows(&self) -> Result<HashMap<String, String>> {
        let sql = format!(
            "select serial_number, {} from tarana_base_stations",
            row::expression()
        );
        let rows = self.query(&sql, None).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Everything that is recorded of a run.
    pub(super) async fn run_record(&self, run: Uuid) -> Result<RunRecord> {
        let sql = "select (select to_jsonb(l) - 'errors' from tarana_sync_logs l where id = $1),
            (select count(*) from tarana_sync_outbox where run = $1),
            (select coalesce(sum(coalesce(json_array_length(changes), cardinality(serial_number))), 0)::bigint from tarana_sync_change_batches where run = $1 and applied),
            (select coalesce(sum(coalesce(json_array_length(changes), cardinality(serial_number))), 0)::bigint from tarana_sync_change_batches where run = $1 and not applied)";
        let rows = self.query(sql, Some(run)).await?;
        let row = first_row(&rows)?;
        Ok(RunRecord {
            row: row.try_get::<Option<Value>, _>(0)?.unwrap_or_default(),
            outbox: row.try_get(1)?,
            applied: row.try_get(2)?,
            planned: row.try_get(3)?,
        })
    }

    /// The runs whose log rows are open.
    pub(super) async fn open_log_rows(&self) -> Result<Vec<(Uuid, String)>> {
        let sql =
            "select id, coalesce(name, '?') from tarana_sync_logs where status in ('pending', 'running')";
        let rows = self.query(sql, None).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// The current size. Not retried, because a sample may be missing.
    pub(super) async fn size(&self) -> Result<DatabaseSize> {
        let sql = "select (select count(*) from pg_stat_activity where datname = current_database() and application_name <> 'soak'),
            pg_database_size(current_database()), pg_total_relation_size('tarana_sync_change_batches'),
            (select count(*) from tarana_sync_logs)";
        let row = sqlx::query(sql).fetch_one(&self.pool).await?;
        Ok(DatabaseSize {
            connections: row.try_get(0)?,
            bytes: row.try_get(1)?,
            changes_bytes: row.try_get(2)?,
            logs: row.try_get(3)?,
        })
    }

    /// Terminates all other connections to the database.
    pub(super) async fn terminate_other_connections(&self) -> Result<()> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name <> 'soak' and pid <> pg_backend_pid()";
        self.query(sql, None).await.map(drop)
    }

    /// The process id of one of the server's backends.
    pub(super) async fn backend_pid(&self) -> Result<i32> {
        let rows = self.query("select pg_backend_pid()", None).await?;
        Ok(first_row(&rows)?.try_get(0)?)
    }

    async fn query(&self, sql: &str, run: Option<Uuid>) -> Result<Vec<sqlx::postgres::PgRow>> {
        let deadline = Instant::now() + RECOVERY_TIMEOUT;
        loop {
            let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
            if let Some(run) = run {
                query = query.bind(run);
            }
            match query.fetch_all(&self.pool).await {
                // Crashed or in recovery: retry.
                Err(error) if is_unavailable(&error) && Instant::now() < deadline => {
                    sleep(RETRY_INTERVAL).await;
                }
                result => return Ok(result?),
            }
        }
    }
}

/// Whether the error means that the server is unavailable.
fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        // Class 57: operator intervention, such as a shutdown, a crash or a recovery.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57")),
        sqlx::Error::ColumnNotFound(_) | sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

fn first_row(rows: &[sqlx::postgres::PgRow]) -> Result<&sqlx::postgres::PgRow> {
    rows.first().ok_or_else(|| sqlx::Error::RowNotFound.into())
}
