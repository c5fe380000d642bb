//! Creates the log row of a run, and opens its attempts.

use jiff::Timestamp;
use uuid::Uuid;

use super::closed_row::{self, ClosedRow};
use super::run_info::RunInfo;
use super::spans::{self, Span};
use super::text::without_nul;
use crate::fault::{Fault, Reason};
use crate::store::db::{Statement, Tx};
use crate::store::error::DbError;
use crate::store::handle::Store;
use crate::store::outbox;

/// How often `open` starts over when the rows change between its statements.
const OPEN_TRIES: usize = 3;

/// The result of opening an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenResult {
    /// This process owns the run under this fence.
    Opened(i64),
    /// Another run of the connection is running.
    Busy {
        /// Its id.
        run: Uuid,
        /// Its name.
        name: String,
    },
    /// The run has already ended.
    Closed(ClosedRow),
}

/// A row that this process has taken, in a transaction that is not committed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRow {
    /// Its new fence.
    pub fence: i64,
    /// The spans that were recorded before.
    pub spans: Vec<Span>,
    /// The last sign of life before, by the database's clock.
    pub heartbeat_at: Option<Timestamp>,
    /// The time of the database.
    pub at: Timestamp,
}

impl Store {
    /// Ensures that the run has a log row. A new one is `pending`.
    pub async fn register(&self, run: &RunInfo) -> Result<(), Fault> {
        let mut triggered_by = run.triggered_by;
        loop {
            let mut tx = self.db.begin().await?;
            match tx.execute(insert(run, triggered_by)).await {
                Ok(inserted) => {
                    if inserted > 0 {
                        outbox::enqueue_request(&mut tx, run.id).await?;
                    }
                    return Ok(tx.commit().await?);
                }
                // The application does not know this user (any more). The run does not depend on it.
                Err(e) if e.has_code("23503") && triggered_by.is_some() => {
                    tx.rollback().await?;
                    triggered_by = None;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Begins an attempt, or takes one over from another process. `record` returns the spans of the run from then on; they are
    /// valid once this returns [`OpenResult::Opened`].
    pub async fn open(
        &self,
        run: &RunInfo,
        attempt: i32,
        mut record: impl FnMut(&OpenedRow) -> Vec<Span> + Send,
    ) -> Result<OpenResult, Fault> {
        for _ in 0..OPEN_TRIES {
            let mut tx = self.db.begin().await?;
            if let Some(busy) = running_run(&mut tx, run).await? {
                tx.rollback().await?;
                return Ok(busy);
            }
            let opened = match take(&mut tx, run.id, attempt).await {
                Ok(Some(row)) => {
                    set_spans(&mut tx, run.id, &record(&row)).await?;
                    Some(OpenResult::Opened(row.fence))
                }
                Ok(None) => closed_row::find(&mut tx, run.id).await?.map(OpenResult::Closed),
                Err(e) if e.constraint() == Some("tarana_sync_logs_one_running") => {
                    tx.rollback().await?;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            tx.commit().await?;
            match opened {
                Some(opened) => return Ok(opened),
                // The row does not exist yet.
                None => self.register(run).await?,
            }
        }
        let name = &run.connection;
        let message = format!(
            "the running row of connection {name:?} in tarana_sync_logs changed {OPEN_TRIES} times in a row"
        );
        Err(Fault::new(Reason::DatabaseBusy, message))
    }
}

/// The fault of a process whose fence is outdated, or whose run has ended.
pub(in crate::store) fn superseded(id: Uuid) -> Fault {
    Fault::new(
        Reason::Superseded,
        format!("run {id} was taken over by another process, or has ended, according to tarana_sync_logs"),
    )
}

pub(super) const INSERT: &str = "
    INSERT INTO tarana_sync_logs
        (id, status, trigger_type, triggered_by, namespace, name, connection, connection_uid, actor, dry_run, delete_stale,
         cluster_uid)
    VALUES ($1, 'pending', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO NOTHING";

fn insert(run: &RunInfo, triggered_by: Option<Uuid>) -> Statement<'_> {
    sqlx::query(INSERT)
        .bind(run.id)
        .bind(run.trigger.as_str())
        .bind(triggered_by)
        .bind(&run.namespace)
        .bind(&run.name)
        .bind(&run.connection)
        .bind(run.connection_uid)
        .bind(without_nul(&run.actor))
        .bind(run.dry_run)
        .bind(run.delete_stale)
        .bind(run.cluster_uid)
}

/// The other run that is running on the connection. Read first, so that `open` does not wait for a run that is committing.
async fn running_run(tx: &mut Tx, run: &RunInfo) -> Result<Option<OpenResult>, DbError> {
    let select = "SELECT id, coalesce(name, id::text) FROM tarana_sync_logs
                  WHERE connection_uid = $1 AND status = 'running' AND id <> $2";
    let row = tx
        .optional(sqlx::query(select).bind(run.connection_uid).bind(run.id))
        .await?;
    row.map(|r| {
        Ok(OpenResult::Busy {
            run: tx.get(&r, 0)?,
            name: tx.get(&r, 1)?,
        })
    })
    .transpose()
}

pub(super) const TAKE: &str =
    "UPDATE tarana_sync_logs SET status = 'running', attempt = $2, fence = coalesce(tarana_sync_logs.fence, 0) + 1,
         started_at = coalesce(started_at, now()), heartbeat_at = now()
     FROM (SELECT id, heartbeat_at FROM tarana_sync_logs WHERE id = $1 FOR UPDATE) former
     WHERE tarana_sync_logs.id = former.id AND status IN ('pending', 'running')
     RETURNING fence, spans::text, (extract(epoch FROM former.heartbeat_at) * 1000000)::int8,
         (extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// Sets the row to `running` and returns it; `None` if it has ended or does not exist.
async fn take(tx: &mut Tx, id: Uuid, attempt: i32) -> Result<Option<OpenedRow>, DbError> {
    let Some(row) = tx.optional(sqlx::query(TAKE).bind(id).bind(attempt)).await? else {
        return Ok(None);
    };
    let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
    Ok(Some(OpenedRow {
        fence: tx.get(&row, 0)?,
        spans: spans::decode(tx.get::<Option<String>>(&row, 1)?.as_deref()),
        heartbeat_at: tx.get::<Option<i64>>(&row, 2)?.map(time),
        at: time(tx.get(&row, 3)?),
    }))
}

/// In the transaction that has taken the row.
async fn set_spans(tx: &mut Tx, id: Uuid, spans: &[Span]) -> Result<(), DbError> {
    let Some(spans) = spans::encode(spans) else {
        return Ok(());
    };
    let update = "UPDATE tarana_sync_logs SET spans = $2 WHERE id = $1";
    tx.execute(sqlx::query(update).bind(id).bind(spans))
        .await
        .map(drop)
}
