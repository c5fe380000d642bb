//! The log row of a run, `tarana_sync_logs`: its identity, its gate and its fence.
//!
//! The row's id is the uid of the object, so each write can be repeated. [`Store::open`] is the gate (one running row
//! for a connection, held by a unique index) and hands out the fence: a number that goes up each time a process takes
//! the run. Who comes later with a lower one is refused, here and in [`super::apply`].

use std::borrow::Cow;

use uuid::Uuid;

use super::Store;
use super::db::{Statement, Tx};
use super::ended::{self, Ended};
use super::error::DbError;
use crate::fault::{Fault, Reason};

/// Why a run exists; the words of `trigger_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By a schedule.
    Cron,
    /// By a person or a program.
    Manual,
}

/// What a log row says about its run from the beginning.
#[derive(Clone, Debug)]
pub struct Run {
    /// `metadata.uid` of the `TaranaSync`.
    pub id: Uuid,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Name of its `TaranaConnection`.
    pub connection: String,
    /// `metadata.uid` of its connection.
    pub connection_uid: Uuid,
    /// Why it exists.
    pub trigger: Trigger,
    /// The application's user who asked; recorded only if the application knows it.
    pub triggered_by: Option<Uuid>,
    /// Who asked, for a person to read.
    pub actor: String,
    /// Plans and changes nothing.
    pub dry_run: bool,
    /// Deletes what the vendor no longer has.
    pub delete_stale: bool,
}

/// What came of opening an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Ours, under this number.
    Fence(i64),
    /// Another run of the connection is running.
    Busy {
        /// Its id.
        run: Uuid,
        /// Its name.
        name: String,
    },
    /// It is over: this is how.
    Ended(Ended),
}

impl Store {
    /// Makes sure that the run has its row; `pending` if it is new.
    pub async fn register(&self, run: &Run) -> Result<(), Fault> {
        let mut triggered_by = run.triggered_by;
        loop {
            let mut tx = self.db.begin().await?;
            match tx.execute(insert(run, triggered_by)).await {
                Ok(_) => return Ok(tx.commit().await?),
                // The application does not know this user (any more). That is no reason not to run.
                Err(e) if e.is("23503") && triggered_by.is_some() => {
                    tx.rollback().await?;
                    triggered_by = None;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Begins or takes over an attempt.
    pub async fn open(&self, run: &Run, attempt: i32) -> Result<Opened, Fault> {
        // The row may be missing, or the run that was in the way may be gone when we look for it.
        for _ in 0..3 {
            let mut tx = self.db.begin().await?;
            if let Some(busy) = busy(&mut tx, run).await? {
                tx.rollback().await?;
                return Ok(busy);
            }
            let opened = match take(&mut tx, run.id, attempt).await {
                Ok(Some(fence)) => Some(Opened::Fence(fence)),
                Ok(None) => find_end(&mut tx, run.id).await?.map(Opened::Ended),
                Err(e) if e.constraint() == Some("tarana_sync_logs_one_running") => {
                    tx.rollback().await?;
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            tx.commit().await?;
            match opened {
                Some(opened) => return Ok(opened),
                None => self.register(run).await?,
            }
        }
        let name = &run.connection;
        let message = format!("another run of connection {name:?} comes and goes in tarana_sync_logs");
        Err(Fault::new(Reason::DatabaseBusy, message))
    }

    /// Says that the run is alive, and how many stations it has read. Not while an [`super::Apply`] of the same run is
    /// open: that one holds the row.
    pub async fn heartbeat(&self, id: Uuid, fence: i64, fetched: i64) -> Result<(), Fault> {
        let update =
            "UPDATE tarana_sync_logs SET heartbeat_at = now(), stations_fetched = least($3, 2147483647)::int
                      WHERE id = $1 AND fence = $2 AND status = 'running'";
        self.fenced(id, sqlx::query(update).bind(id).bind(fence).bind(fetched))
            .await
    }

    /// Notes that an attempt failed and that another will follow.
    pub async fn waiting(&self, id: Uuid, fence: i64, why: &str) -> Result<(), Fault> {
        let update = "UPDATE tarana_sync_logs SET heartbeat_at = now(),
                          errors = coalesce(errors, '[]') || jsonb_build_object('message', $3::text, 'timestamp', now())
                      WHERE id = $1 AND fence = $2 AND status = 'running'";
        self.fenced(id, sqlx::query(update).bind(id).bind(fence).bind(printable(why)))
            .await
    }

    async fn fenced(&self, id: Uuid, update: Statement<'_>) -> Result<(), Fault> {
        let mut tx = self.db.begin().await?;
        let touched = tx.execute(update).await?;
        tx.commit().await?;
        if touched == 0 { Err(superseded(id)) } else { Ok(()) }
    }
}

/// Another process has the run, or it is over.
pub(super) fn superseded(id: Uuid) -> Fault {
    Fault::new(
        Reason::Superseded,
        format!("run {id} was taken over by another process, or ended, in tarana_sync_logs"),
    )
}

/// PostgreSQL's text holds no NUL.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

fn insert(run: &Run, triggered_by: Option<Uuid>) -> Statement<'_> {
    let insert = "
        INSERT INTO tarana_sync_logs
            (id, status, trigger_type, triggered_by, namespace, name, connection, connection_uid, actor, dry_run, delete_stale)
        VALUES ($1, 'pending', $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (id) DO NOTHING";
    let trigger = match run.trigger {
        Trigger::Cron => "cron",
        Trigger::Manual => "manual",
    };
    sqlx::query(insert)
        .bind(run.id)
        .bind(trigger)
        .bind(triggered_by)
        .bind(&run.namespace)
        .bind(&run.name)
        .bind(&run.connection)
        .bind(run.connection_uid)
        .bind(printable(&run.actor))
        .bind(run.dry_run)
        .bind(run.delete_stale)
}

/// The run that is in the way. Asked first, so that we do not wait for one that is just committing.
async fn busy(tx: &mut Tx, run: &Run) -> Result<Option<Opened>, DbError> {
    let select = "SELECT id, coalesce(name, id::text) FROM tarana_sync_logs
                  WHERE connection_uid = $1 AND status = 'running' AND id <> $2";
    let row = tx
        .optional(sqlx::query(select).bind(run.connection_uid).bind(run.id))
        .await?;
    row.map(|r| {
        Ok(Opened::Busy {
            run: tx.get(&r, 0)?,
            name: tx.get(&r, 1)?,
        })
    })
    .transpose()
}

async fn take(tx: &mut Tx, id: Uuid, attempt: i32) -> Result<Option<i64>, DbError> {
    let update =
        "UPDATE tarana_sync_logs SET status = 'running', attempt = $2, fence = coalesce(fence, 0) + 1,
                      started_at = coalesce(started_at, now()), heartbeat_at = now()
                  WHERE id = $1 AND status IN ('pending', 'running') RETURNING fence";
    let row = tx.optional(sqlx::query(update).bind(id).bind(attempt)).await?;
    row.map(|r| tx.get(&r, 0)).transpose()
}

/// How the run ended, if it did.
pub(super) async fn find_end(tx: &mut Tx, id: Uuid) -> Result<Option<Ended>, DbError> {
    let select = format!(
        "SELECT {} FROM tarana_sync_logs WHERE id = $1 AND status IN ('completed', 'failed')",
        ended::COLUMNS
    );
    let row = tx
        .optional(sqlx::query(sqlx::AssertSqlSafe(select)).bind(id))
        .await?;
    row.map(|r| ended::read(&r).map_err(|e| DbError::new(tx.target(), e)))
        .transpose()
}
