//! Apply: the one transaction that writes a run's changes.
//!
//! ```text
//! begin_apply   lock the table, lock the log row, compare the fence
//! read_rows     stream the rows of the table
//! finish        write the rows that differ, the change rows, the final log row and the event; commit
//! ```
//! The commit decides: before it nothing has changed, after it the log row says how the run ended. An [`Apply`] that is
//! dropped before the commit changes nothing, and its locks are released within about a second even if the server was
//! busy. If it is dropped during the commit, [`Store::closed_row`] and [`Store::close`] return what happened.
//!
//! The table lock (`SHARE ROW EXCLUSIVE`) admits readers and excludes every other writer, so the plan is computed from the
//! rows that are then written. It is taken before the row lock: a run that waits for the table holds no lock.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::columns::list;
use super::db::{Db, Tx};
use super::decode::RowDecoder;
use super::error::DbError;
use super::handle::Store;
use super::log::{self, ClosedRow, Span, find_closed, superseded};
use super::{outbox, write};
use crate::fault::{Fault, Reason};
use crate::station::{Plan, Row};

/// Timeout for reading the whole table over a slow connection.
const READ_TIMEOUT: Duration = Duration::from_mins(10);
/// Timeout for one statement, which writes some hundreds of rows. A COMMIT may wait for a standby.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// The result of beginning Apply.
pub enum BeginApply {
    /// The table is locked until [`Apply::finish`] or until this is dropped.
    Started(Apply),
    /// The run has already ended.
    Closed(ClosedRow),
}

/// An open Apply transaction.
pub struct Apply {
    tx: Tx,
    run: Uuid,
    locking: Duration,
}

impl Store {
    /// Waits for the table lock without a limit: drop the future to stop waiting. Fails with `Superseded` if the run has a
    /// newer fence.
    pub async fn begin_apply(&self, run: Uuid, fence: i64) -> Result<BeginApply, Fault> {
        let (mut tx, locking) = lock_table(&self.db).await?;
        let select = "SELECT fence IS NOT DISTINCT FROM $2 AND status = 'running' FROM tarana_sync_logs
                      WHERE id = $1 FOR UPDATE";
        let row = tx.optional(sqlx::query(select).bind(run).bind(fence)).await?;
        if row.map(|r| tx.get::<bool>(&r, 0)).transpose()? == Some(true) {
            return Ok(BeginApply::Started(Apply { tx, run, locking }));
        }
        let closed = find_closed(&mut tx, run).await?;
        tx.rollback().await?;
        closed.map(BeginApply::Closed).ok_or_else(|| superseded(run))
    }
}

/// Waits in slices of one second, each in a transaction of its own: a waiting process holds no lock, other writers get the
/// table between the slices, and a server that does not notice a dropped client stops waiting by itself. Also returns how long
/// the statements took.
async fn lock_table(db: &Db) -> Result<(Tx, Duration), DbError> {
    let lock = "SET LOCAL lock_timeout TO '1s';
                LOCK TABLE tarana_base_stations IN SHARE ROW EXCLUSIVE MODE;
                SET LOCAL lock_timeout TO '5s'";
    let mut took = Duration::ZERO;
    loop {
        let mut tx = db.begin().await?;
        let began = Instant::now();
        let locked = tx.script(lock.to_owned()).await;
        took += began.elapsed();
        match locked {
            Ok(()) => return Ok((tx, took)),
            Err(e) if e.has_code("55P03") => tx.rollback().await?,
            Err(e) => return Err(e),
        }
    }
}

impl Apply {
    /// How long it took to lock the table.
    pub fn locking(&self) -> Duration {
        self.locking
    }

    /// Passes every row of the table to `each`, in no particular order.
    pub async fn read_rows(&mut self, mut each: impl FnMut(Row)) -> Result<(), Fault> {
        let select = list(|name, kind| format!("{name}::{kind}"));
        let copy = format!("COPY (SELECT {select} FROM tarana_base_stations) TO STDOUT (FORMAT binary)");
        let (mut decoder, mut malformed) = (RowDecoder::default(), false);
        self.tx.set_statement_timeout(READ_TIMEOUT).await?;
        self.tx
            .copy_out(&copy, |chunk| {
                malformed = malformed || decoder.feed(chunk, &mut each).is_err();
            })
            .await?;
        if malformed {
            let message = format!(
                "{}: tarana_base_stations cannot be read: COPY is malformed",
                self.tx.target().display_name()
            );
            return Err(Fault::new(Reason::DatabaseError, message));
        }
        Ok(())
    }

    /// Rolls back and releases the table lock.
    pub async fn abort(self) -> Result<(), Fault> {
        Ok(self.tx.rollback().await?)
    }

    /// Writes the plan and commits. A dry run writes the change rows and the log row only. `spans` are those of the run so far: the
    /// ones that last end with the commit.
    pub async fn finish(mut self, plan: &Plan, dry_run: bool, spans: &[Span]) -> Result<ClosedRow, Fault> {
        self.tx.set_statement_timeout(WRITE_TIMEOUT).await?;
        write::write_changes(&mut self.tx, self.run, &plan.changes, dry_run).await?;
        let closed = log::complete(&mut self.tx, self.run, plan, spans).await?;
        outbox::enqueue_ends(&mut self.tx, &[self.run]).await?;
        self.tx.commit().await?;
        Ok(closed)
    }
}
