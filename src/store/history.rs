//! What the log rows tell whoever reads them: runs, whether their objects still exist or not, and rows of other programs.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::Store;
use super::db::{Statement, Tx};
use super::error::DbError;
use crate::fault::Fault;
use crate::station::Counts;

/// A run, as its row tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// The uid of its object, where it had one.
    pub id: Uuid,
    /// `None` in rows of other programs, as the next two.
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
    /// The application's user who asked.
    pub triggered_by: Option<Uuid>,
    /// Who asked, for a person to read.
    pub actor: Option<String>,
    /// Whether it only planned.
    pub dry_run: bool,
    /// Whether it was to delete.
    pub delete_stale: bool,
    /// What it did.
    pub counts: Counts,
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
    /// From the one to the other.
    pub duration_ms: Option<i64>,
    /// The word of the object's condition.
    pub reason: Option<String>,
    /// Why it failed, or why deletes were withheld.
    pub message: Option<String>,
    /// Which listing was read, and how it was proven whole.
    pub reading: Option<(String, String)>,
}

/// Which runs are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// Of this namespace. Rows that have none are of every namespace.
    pub namespace: &'a str,
    /// Of this connection. Rows that have none are of every connection.
    pub connection: &'a str,
    /// `completed`, `failed`, `cancelled`, `pending` or `running`; empty: all.
    pub states: &'a [&'a str],
    /// Older than this one.
    pub before: Option<(Timestamp, Uuid)>,
    /// At most so many.
    pub most: i64,
}

/// The columns that [`read`] reads, in its order. Times in microseconds.
const COLUMNS: &str = "
    id, namespace, name, connection, status, outcome, trigger_type, triggered_by, actor,
    coalesce(dry_run, false), coalesce(delete_stale, false),
    coalesce(stations_fetched, 0)::int8, coalesce(inserted, 0)::int8, coalesce(updated, 0)::int8,
    coalesce(unchanged, 0)::int8, coalesce(deleted, 0)::int8, coalesce(skipped, 0)::int8, coalesce(withheld, 0)::int8,
    coalesce(errors, '[]'), coalesce(attempt, 1), (extract(epoch FROM coalesce(created_at, 'epoch')) * 1000000)::int8,
    (extract(epoch FROM started_at) * 1000000)::int8, (extract(epoch FROM completed_at) * 1000000)::int8,
    duration_ms::int8, reason, message, listing, proof";

impl Store {
    /// Runs, newest first.
    pub async fn runs(&self, wanted: &Wanted<'_>) -> Result<Vec<Logged>, Fault> {
        let select = format!(
            "SELECT {COLUMNS} FROM tarana_sync_logs
             WHERE (namespace IS NULL OR namespace = $1) AND (connection IS NULL OR connection = $2)
               AND (cardinality($3::text[]) = 0 OR coalesce(outcome, status) = ANY ($3))
               AND ($4::int8 IS NULL OR (coalesce(created_at, 'epoch'), id)
                    < ('epoch'::timestamptz + $4 * interval '1 microsecond', $5))
             ORDER BY coalesce(created_at, 'epoch') DESC, id DESC LIMIT $6"
        );
        let (time, id) = wanted.before.unzip();
        let states: Vec<String> = wanted.states.iter().map(|&state| state.to_owned()).collect();
        let statement = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(wanted.namespace)
            .bind(wanted.connection)
            .bind(states)
            .bind(time.map(Timestamp::as_microsecond))
            .bind(id)
            .bind(wanted.most);
        self.logged(statement).await
    }

    /// One run.
    pub async fn run(&self, id: Uuid) -> Result<Option<Logged>, Fault> {
        let select = format!("SELECT {COLUMNS} FROM tarana_sync_logs WHERE id = $1");
        let statement = sqlx::query(sqlx::AssertSqlSafe(select)).bind(id);
        Ok(self.logged(statement).await?.pop())
    }

    async fn logged(&self, select: Statement<'_>) -> Result<Vec<Logged>, Fault> {
        let mut tx = self.db.begin().await?;
        read_only(&mut tx).await?;
        let rows = tx.all(select).await?;
        tx.commit().await?;
        let runs: Result<_, sqlx::Error> = rows.iter().map(read).collect();
        Ok(runs.map_err(|e| DbError::new(self.db.target(), e))?)
    }
}

/// Whoever only reads can break nothing, and waits for nobody for long.
pub(super) async fn read_only(tx: &mut Tx) -> Result<(), DbError> {
    tx.script("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout TO '10s'".to_owned())
        .await
}

fn read(row: &PgRow) -> Result<Logged, sqlx::Error> {
    let time = |at| {
        row.try_get::<Option<i64>, _>(at)
            .map(|t| t.and_then(|t| Timestamp::from_microsecond(t).ok()))
    };
    let listing: Option<String> = row.try_get(26)?;
    let proof: Option<String> = row.try_get(27)?;
    Ok(Logged {
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
        counts: Counts {
            fetched: row.try_get(11)?,
            inserted: row.try_get(12)?,
            updated: row.try_get(13)?,
            unchanged: row.try_get(14)?,
            deleted: row.try_get(15)?,
            skipped: row.try_get(16)?,
            withheld: row.try_get(17)?,
        },
        errors: row.try_get(18)?,
        attempt: row.try_get(19)?,
        created_at: time(20)?.unwrap_or_default(),
        started_at: time(21)?,
        completed_at: time(22)?,
        duration_ms: row.try_get(23)?,
        reason: row.try_get(24)?,
        message: row.try_get(25)?,
        reading: listing.zip(proof),
    })
}
