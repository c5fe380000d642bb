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

use std::time::Duration;

use uuid::Uuid;

use super::db::Tx;
use super::decode::RowDecoder;
use super::handle::Store;
use super::log::{self, ClosedRow, Span, find_closed, superseded};
use super::table::Table;
use super::table_lock::{lock_table, row_lock_holders};
use super::{outbox, write};
use crate::fault::{Fault, Reason};
use crate::station::{Plan, Rejected, Row};
use crate::trace::notices::{self, Received};

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
    table: Table,
    /// Values of other programs that a row cannot hold.
    unreadable: Vec<Rejected>,
}

impl Store {
    /// Waits for the table lock without a limit: drop the future to stop waiting. While it waits, `on_wait` gets which sessions hold the
    /// table. Fails with `Superseded` if the run has a newer fence.
    pub async fn begin_apply(
        &self,
        run: Uuid,
        fence: i64,
        on_wait: &(dyn Fn(String) + Sync),
    ) -> Result<BeginApply, Fault> {
        let (mut tx, locking) = lock_table(&self.db, on_wait).await?;
        let select = "SELECT fence IS NOT DISTINCT FROM $2 AND status = 'running' FROM tarana_sync_logs
                      WHERE id = $1 FOR UPDATE";
        let row = tx.optional(sqlx::query(select).bind(run).bind(fence)).await?;
        if row.map(|r| tx.get::<bool>(&r, 0)).transpose()? == Some(true) {
            let table = Table::load(&mut tx).await?;
            return Ok(BeginApply::Started(Apply {
                tx,
                run,
                locking,
                table,
                unreadable: Vec::new(),
            }));
        }
        let closed = find_closed(&mut tx, run).await?;
        tx.rollback().await?;
        closed.map(BeginApply::Closed).ok_or_else(|| superseded(run))
    }
}

impl Apply {
    /// How long it took to lock the table.
    pub fn locking(&self) -> Duration {
        self.locking
    }

    /// Which sessions have locked rows of the table, for users; `None` if there are none. This transaction would wait for such a row until it
    /// fails: keep what is needed to repeat it.
    pub async fn row_lock_holders(&mut self) -> Result<Option<String>, Fault> {
        let holders = row_lock_holders(&mut self.tx).await?;
        if holders.is_some() {
            // Nobody else can write the table while this transaction waits.
            self.tx
                .script("SET LOCAL lock_timeout TO '1s'".to_owned())
                .await?;
        }
        Ok(holders)
    }

    /// Passes every row of the table to `each`, in no particular order.
    pub async fn read_rows(&mut self, mut each: impl FnMut(Row)) -> Result<(), Fault> {
        let select = self.table.select_list();
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
        let unreadable = self.table.unreadable_values(&mut self.tx).await?;
        let note = |(serial, column): (String, String)| Rejected {
            serial: Some(serial.into()),
            why: format!("{column}: the stored number is out of range, so it counts as unknown"),
        };
        self.unreadable = unreadable.into_iter().map(note).collect();
        Ok(())
    }

    /// Rolls back and releases the table lock.
    pub async fn abort(self) -> Result<(), Fault> {
        Ok(self.tx.rollback().await?)
    }

    /// Writes the plan and commits. What the application's constraints reject is noted, and the counts are those of what was written. A dry
    /// run writes the change rows and the log row only. `spans` are those of the run so far: the
    /// ones that last end with the commit.
    pub async fn finish(mut self, plan: &Plan, dry_run: bool, spans: &[Span]) -> Result<ClosedRow, Fault> {
        self.tx.set_statement_timeout(WRITE_TIMEOUT).await?;
        let write = write::write_changes(&mut self.tx, &self.table, self.run, plan, dry_run);
        let (result, received) = notices::count(Box::pin(write)).await;
        let mut result = result?;
        result.notes.extend(note_received(received));
        result.notes.append(&mut self.unreadable);
        if !self.table.is_unicode {
            replace_non_ascii(&mut result);
        }
        let closed = log::complete(&mut self.tx, self.run, &result, spans).await?;
        outbox::enqueue_ends(&mut self.tx, &[self.run]).await?;
        self.tx.commit().await?;
        Ok(closed)
    }
}

/// How many messages triggers sent. Their texts can contain rows.
fn note_received(received: Received) -> Option<Rejected> {
    (received != Received::default()).then(|| Rejected {
        serial: None,
        why: format!(
            "the database sent {} notices and {} warnings during the write, probably from triggers of tarana_base_stations",
            received.notices, received.warnings
        ),
    })
}

/// Makes the texts of the log row storable in every encoding.
fn replace_non_ascii(plan: &mut Plan) {
    let ascii = |text: &str| text.replace(|c: char| !c.is_ascii(), "?");
    for rejected in plan.skipped.iter_mut().chain(&mut plan.notes) {
        rejected.why = ascii(&rejected.why);
        rejected.serial = rejected.serial.as_deref().map(|serial| ascii(serial).into());
    }
    plan.withheld_because = plan.withheld_because.as_deref().map(ascii);
}
