//! The transactional outbox: events about runs, written in the transaction that creates or ends the log row, and delivered afterwards, at least
//! once and in order for each run.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::db::{Statement, Tx};
use super::error::DbError;
use super::handle::Store;
use super::identifier::quote;
use super::log::without_nul;
use super::statement::Planned;
use crate::fault::{Fault, Reason};

/// After this time an event is not delivered any more.
const MAX_AGE_HOURS: i32 = 24;

/// An event that is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEvent {
    /// Increasing number.
    pub id: i64,
    /// The run that it is about.
    pub run: Uuid,
    /// `tarana/sync.requested`, `tarana/sync.completed`, `tarana/sync.failed` or `tarana/sync.cancelled`.
    pub kind: String,
    /// The event's `data`.
    pub payload: serde_json::Value,
    /// When it was written, by the database's clock.
    pub created_at: Timestamp,
    /// Number of this attempt, from 1.
    pub attempt: i32,
}

/// What becomes of an event after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// It is tried again.
    Scheduled,
    /// It is too old to be tried again.
    Abandoned,
}

/// The events of a connection that are not delivered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutboxBacklog {
    /// Their number.
    pub events: i64,
    /// Age of the oldest.
    pub oldest: Duration,
}

/// The event of a run whose log row exists; `$1` are runs.
const REQUESTS: &str = "
    SELECT id AS run, 'tarana/sync.requested' AS type, jsonb_strip_nulls(jsonb_build_object(
               'triggered_by', trigger_type, 'admin_user_id', triggered_by, 'sync_log_id', id,
               'options', jsonb_build_object('dryRun', dry_run, 'deleteStale', delete_stale))) AS payload
    FROM tarana_sync_logs WHERE id = ANY ($1)";

/// The events of runs that are closed; `$1` are runs.
const ENDS: &str = "
    SELECT id AS run, 'tarana/sync.' || outcome AS type,
           CASE outcome
           WHEN 'completed' THEN jsonb_build_object('sync_log_id', id, 'inserted', inserted, 'updated', updated,
                                                    'deleted', deleted, 'duration_ms', duration_ms)
           WHEN 'failed' THEN jsonb_build_object('sync_log_id', id, 'error', message, 'attempt', attempt)
           ELSE jsonb_build_object('sync_log_id', id) END AS payload
    FROM tarana_sync_logs WHERE id = ANY ($1) AND outcome IS NOT NULL";

/// Numbers that are tried for an event at most: a second of work. A sequence never goes back, so the next event goes on from there.
const MAX_NUMBERS: i64 = 500_000;

/// Writes the event of a run whose log row this transaction has just created. Idempotent.
pub(super) async fn enqueue_request(tx: &mut Tx, run: Uuid) -> Result<(), Fault> {
    enqueue(tx, REQUESTS, &[run]).await
}

/// Writes the events of runs that this transaction has just closed, from their log rows. Idempotent per run.
pub(super) async fn enqueue_ends(tx: &mut Tx, runs: &[Uuid]) -> Result<(), Fault> {
    enqueue(tx, ENDS, runs).await
}

/// Writes the events that do not exist. After a logical copy of the database, the sequence of `id` may be behind the table: a number
/// that is taken is a conflict like an event that exists, so the next free number is looked for.
async fn enqueue(tx: &mut Tx, events: &str, runs: &[Uuid]) -> Result<(), Fault> {
    let inserted = tx.execute(bind(&insert_sql(events), runs)).await?;
    if inserted == runs.len() as u64 || count_missing(tx, events, runs).await? == 0 {
        return Ok(());
    }
    let search = format!(
        "INSERT INTO tarana_sync_outbox (run, type, payload)
         SELECT run, type, payload FROM ({} LIMIT 1) event, generate_series(1, {MAX_NUMBERS})
         ON CONFLICT DO NOTHING",
        missing_sql(events)
    );
    tx.execute(bind(&search, runs)).await?;
    tx.execute(bind(&insert_sql(events), runs)).await?;
    if count_missing(tx, events, runs).await? == 0 {
        return Ok(());
    }
    let table = format!("{}.tarana_sync_outbox", quote(&tx.target().schema));
    Err(tx.target().fault(
        Reason::DatabaseError,
        format!(
            "the sequence of tarana_sync_outbox.id is behind the table; let the owner run: \
             SELECT setval(pg_get_serial_sequence('{}', 'id'), max(id)) FROM {table};",
            table.replace('\'', "''")
        ),
    ))
}

fn insert_sql(events: &str) -> String {
    format!("INSERT INTO tarana_sync_outbox (run, type, payload) {events} ON CONFLICT DO NOTHING")
}

fn missing_sql(events: &str) -> String {
    format!(
        "SELECT run, type, payload FROM ({events}) event
         WHERE NOT EXISTS (SELECT FROM tarana_sync_outbox o WHERE o.run = event.run AND o.type = event.type)"
    )
}

async fn count_missing(tx: &mut Tx, events: &str, runs: &[Uuid]) -> Result<i64, DbError> {
    let count = format!("SELECT count(*) FROM ({}) missing", missing_sql(events));
    let row = tx.one(bind(&count, runs)).await?;
    tx.get(&row, 0)
}

fn bind<'q>(sql: &str, runs: &[Uuid]) -> Statement<'q> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).bind(runs.to_vec())
}

/// The statements that write events, for the probe, which plans them.
pub(super) fn statements() -> Vec<Planned> {
    vec![
        Planned::new(insert_sql(REQUESTS), "uuid[]"),
        Planned::new(insert_sql(ENDS), "uuid[]"),
        Planned::new(take_sql(), "uuid bigint bigint float8"),
        Planned::new(DELIVERED, "bigint"),
        Planned::new(NOT_DELIVERED, "bigint float8 text int"),
    ]
}

/// The events of connection $1 that were written since $2 (epoch microseconds) and are neither delivered nor abandoned.
const PENDING: &str = "
    tarana_sync_outbox o JOIN tarana_sync_logs l ON l.id = o.run
    WHERE l.connection_uid = $1 AND o.delivered_at IS NULL AND o.abandoned_at IS NULL
        AND o.created_at >= 'epoch'::timestamptz + $2 * interval '1 microsecond'";

fn take_sql() -> String {
    format!(
        "UPDATE tarana_sync_outbox SET attempts = attempts + 1, next_attempt_at = now() + $4 * interval '1 second'
         WHERE id IN (
             SELECT o.id FROM {PENDING} AND o.next_attempt_at <= now()
                 AND NOT EXISTS (SELECT FROM tarana_sync_outbox earlier
                                 WHERE earlier.run = o.run AND earlier.id < o.id AND earlier.delivered_at IS NULL
                                     AND earlier.abandoned_at IS NULL
                                     AND earlier.created_at >= 'epoch'::timestamptz + $2 * interval '1 microsecond')
             ORDER BY o.id LIMIT $3 FOR UPDATE OF o SKIP LOCKED)
         RETURNING id, run, type, payload, (extract(epoch FROM created_at) * 1000000)::int8, attempts"
    )
}

const DELIVERED: &str = "UPDATE tarana_sync_outbox SET delivered_at = now(), last_error = NULL WHERE id = $1 AND delivered_at IS NULL";
const NOT_DELIVERED: &str = "
    UPDATE tarana_sync_outbox
    SET next_attempt_at = now() + $2 * interval '1 second', last_error = $3,
        abandoned_at = CASE WHEN now() + $2 * interval '1 second' > created_at + make_interval(hours => $4) THEN now() END
    WHERE id = $1 AND delivered_at IS NULL
    RETURNING abandoned_at IS NOT NULL";

impl Store {
    /// The time of the database.
    pub async fn now(&self) -> Result<Timestamp, Fault> {
        let mut tx = self.db.begin_read_only().await?;
        let select = "SELECT (extract(epoch FROM now()) * 1000000)::int8";
        let row = tx.one(sqlx::query(select)).await?;
        let micros: i64 = tx.get(&row, 0)?;
        tx.commit().await?;
        Ok(Timestamp::from_microsecond(micros).unwrap_or_default())
    }

    /// Takes the oldest events of a connection that are due, at most one of each run. They are due again after `lease`, unless
    /// [`Self::event_delivered`] or [`Self::event_not_delivered`] was called. Events before `since` are left alone.
    pub async fn take_due_events(
        &self,
        connection_uid: Uuid,
        since: Timestamp,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<OutboxEvent>, Fault> {
        let statement = sqlx::query(AssertSqlSafe(take_sql()))
            .bind(connection_uid)
            .bind(since.as_microsecond())
            .bind(limit)
            .bind(lease.as_secs_f64());
        let mut tx = self.db.begin().await?;
        let rows = tx.all(statement).await?;
        tx.commit().await?;
        let mut events = self.db.target().decode(&rows, event)?;
        events.sort_by_key(|event| event.id);
        Ok(events)
    }

    /// Records that an event was delivered.
    pub async fn event_delivered(&self, id: i64) -> Result<(), Fault> {
        let mut tx = self.db.begin().await?;
        tx.execute(sqlx::query(DELIVERED).bind(id)).await?;
        Ok(tx.commit().await?)
    }

    /// Records a failed attempt. The next one is after `delay`, unless the event would be too old by then.
    pub async fn event_not_delivered(
        &self,
        id: i64,
        delay: Duration,
        error: &str,
    ) -> Result<Redelivery, Fault> {
        let statement = sqlx::query(NOT_DELIVERED)
            .bind(id)
            .bind(delay.as_secs_f64())
            .bind(without_nul(error))
            .bind(MAX_AGE_HOURS);
        let mut tx = self.db.begin().await?;
        let row = tx.optional(statement).await?;
        let abandoned = row.map(|row| tx.get::<bool>(&row, 0)).transpose()?;
        tx.commit().await?;
        Ok(match abandoned {
            Some(true) => Redelivery::Abandoned,
            _ => Redelivery::Scheduled,
        })
    }

    /// The events of a connection since this time that are not delivered yet.
    pub async fn outbox_backlog(
        &self,
        connection_uid: Uuid,
        since: Timestamp,
    ) -> Result<OutboxBacklog, Fault> {
        let select = format!(
            "SELECT count(*), coalesce(extract(epoch FROM now() - min(o.created_at)), 0)::float8 FROM {PENDING}"
        );
        let statement = sqlx::query(AssertSqlSafe(select))
            .bind(connection_uid)
            .bind(since.as_microsecond());
        let mut tx = self.db.begin_read_only().await?;
        let row = tx.one(statement).await?;
        let backlog = OutboxBacklog {
            events: tx.get(&row, 0)?,
            oldest: Duration::try_from_secs_f64(tx.get(&row, 1)?).unwrap_or_default(),
        };
        tx.commit().await?;
        Ok(backlog)
    }
}

fn event(row: &PgRow) -> Result<OutboxEvent, sqlx::Error> {
    Ok(OutboxEvent {
        id: row.try_get(0)?,
        run: row.try_get(1)?,
        kind: row.try_get(2)?,
        payload: row.try_get(3)?,
        created_at: Timestamp::from_microsecond(row.try_get(4)?).unwrap_or_default(),
        attempt: row.try_get(5)?,
    })
}
