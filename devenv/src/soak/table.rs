//! The database as an auditor reads it, past every wire. What it is asked is asked again while the server recovers.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Row as _};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::ledger::Digest;
use super::row;
use crate::error::{Error, Result};

/// How long the server may take to come back.
const PATIENCE: Duration = Duration::from_mins(1);
const AGAIN: Duration = Duration::from_millis(100);
/// By which this soak's own connections are told from the operator's.
pub(super) const OWN: &str = "soak";

/// What the log row, the change rows and the outbox tell of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Books {
    /// The log row, as JSON; null where there is none.
    pub(super) row: Value,
    pub(super) outbox: i64,
    /// Change rows.
    pub(super) applied: i64,
    pub(super) planned: i64,
}

/// Sizes and numbers of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extent {
    pub(super) connections: i64,
    pub(super) bytes: i64,
    pub(super) changes_bytes: i64,
    pub(super) logs: i64,
}

/// The tables of one connection.
pub(super) struct Table {
    pool: PgPool,
}

impl Table {
    pub(super) fn of(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .application_name(OWN)
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Number and sum of all rows.
    pub(super) async fn digest(&self) -> Result<Digest> {
        let sql = format!(
            "select count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(line, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint), 0)::text
             from (select {} as line from tarana_base_stations) t",
            row::expression()
        );
        let rows = self.ask(&sql, None).await?;
        let row = one(&rows)?;
        let sum: String = row.try_get(1)?;
        let sum = sum
            .parse()
            .map_err(|_| Error::Unexpected(format!("a digest of {sum:?}")))?;
        Ok(Digest {
            rows: row.try_get(0)?,
            sum,
        })
    }

    /// Every row's text, by serial.
    pub(super) async fn rows(&self) -> Result<HashMap<String, String>> {
        let sql = format!(
            "select serial_number, {} from tarana_base_stations",
            row::expression()
        );
        let rows = self.ask(&sql, None).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// What is written of a run.
    pub(super) async fn books(&self, run: Uuid) -> Result<Books> {
        let sql = "select (select to_jsonb(l) - 'errors' from tarana_sync_logs l where id = $1),
            (select count(*) from tarana_sync_outbox where run = $1),
            (select coalesce(sum(coalesce(json_array_length(changes), cardinality(serial_number))), 0)::bigint from tarana_sync_change_batches where run = $1 and applied),
            (select coalesce(sum(coalesce(json_array_length(changes), cardinality(serial_number))), 0)::bigint from tarana_sync_change_batches where run = $1 and not applied)";
        let rows = self.ask(sql, Some(run)).await?;
        let row = one(&rows)?;
        Ok(Books {
            row: row.try_get::<Option<Value>, _>(0)?.unwrap_or_default(),
            outbox: row.try_get(1)?,
            applied: row.try_get(2)?,
            planned: row.try_get(3)?,
        })
    }

    /// Runs whose log rows are not closed.
    pub(super) async fn open(&self) -> Result<Vec<(Uuid, String)>> {
        let sql =
            "select id, coalesce(name, '?') from tarana_sync_logs where status in ('pending', 'running')";
        let rows = self.ask(sql, None).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// How large everything has become. Not asked again: a sample may be missing.
    pub(super) async fn extent(&self) -> Result<Extent> {
        let sql = "select (select count(*) from pg_stat_activity where datname = current_database() and application_name <> 'soak'),
            pg_database_size(current_database()), pg_total_relation_size('tarana_sync_change_batches'),
            (select count(*) from tarana_sync_logs)";
        let row = sqlx::query(sql).fetch_one(&self.pool).await?;
        Ok(Extent {
            connections: row.try_get(0)?,
            bytes: row.try_get(1)?,
            changes_bytes: row.try_get(2)?,
            logs: row.try_get(3)?,
        })
    }

    /// Ends everybody else's connections.
    pub(super) async fn terminate_others(&self) -> Result<()> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name <> 'soak' and pid <> pg_backend_pid()";
        self.ask(sql, None).await.map(drop)
    }

    /// A process of the server whose violent death makes it drop everyone and recover.
    pub(super) async fn victim(&self) -> Result<i32> {
        let rows = self.ask("select pg_backend_pid()", None).await?;
        Ok(one(&rows)?.try_get(0)?)
    }

    async fn ask(&self, sql: &str, run: Option<Uuid>) -> Result<Vec<sqlx::postgres::PgRow>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
            if let Some(run) = run {
                query = query.bind(run);
            }
            match query.fetch_all(&self.pool).await {
                // Crashed, or in recovery: it comes back by itself.
                Err(error) if is_passing(&error) && Instant::now() < end => sleep(AGAIN).await,
                done => return Ok(done?),
            }
        }
    }
}

/// Whether it is the server that is not there, rather than the question that is wrong.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        // Class 57: operator intervention, such as a shutdown, a crash or a recovery.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57")),
        sqlx::Error::ColumnNotFound(_) | sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

fn one(rows: &[sqlx::postgres::PgRow]) -> Result<&sqlx::postgres::PgRow> {
    rows.first().ok_or_else(|| sqlx::Error::RowNotFound.into())
}
