//! Apply: the one transaction that makes the table true.
//!
//! ```text
//! begin_apply   lock the table, lock the log row, compare the fence
//! rows          hand over the table as it is, row by row
//! finish        write what differs, the change rows, the final log row and the event; commit
//! ```
//! The commit is the truth: before it nothing has happened, after it the log row says how the run ended. An [`Apply`]
//! that is dropped, or whose future is dropped, before the commit has done nothing, and its locks are gone within about
//! a second even if the server was waiting or working. Dropped while the commit is under way it is all done or not at
//! all: [`Store::ended`] and [`Store::close`] say which.
//!
//! The lock on the table (`SHARE ROW EXCLUSIVE`) lets readers go on and keeps every other writer out, whoever they
//! are, so the plan is about the rows that are written. It comes before the log row, so that a run that waits for the
//! table holds nothing.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::columns::list;
use super::copy::Reader;
use super::db::{Db, Tx};
use super::ended::{self, Ended};
use super::error::DbError;
use super::logs::{find_end, superseded};
use super::{Store, journal, outbox, write};
use crate::fault::{Fault, Reason};
use crate::station::{Plan, Row};

/// For the whole table to come over a thin wire.
const READ: Duration = Duration::from_mins(10);
/// For one statement, which writes some hundreds of rows. A COMMIT may wait for a standby.
const WRITE: Duration = Duration::from_mins(1);

/// What came of beginning to apply.
pub enum Begun {
    /// The table is ours until [`Apply::finish`], or until this is dropped.
    Apply(Apply),
    /// The run is over: this is how.
    Ended(Ended),
}

/// An open Apply transaction.
pub struct Apply {
    tx: Tx,
    run: Uuid,
}

impl Store {
    /// Waits for the table for as long as it takes: drop the future to stop. Fails with `Superseded` if the run was
    /// opened again under a higher number.
    pub async fn begin_apply(&self, run: Uuid, fence: i64) -> Result<Begun, Fault> {
        let mut tx = lock_table(&self.db).await?;
        let select = "SELECT fence IS NOT DISTINCT FROM $2 AND status = 'running' FROM tarana_sync_logs
                      WHERE id = $1 FOR UPDATE";
        let row = tx.optional(sqlx::query(select).bind(run).bind(fence)).await?;
        if row.map(|r| tx.get::<bool>(&r, 0)).transpose()? == Some(true) {
            return Ok(Begun::Apply(Apply { tx, run }));
        }
        let ended = find_end(&mut tx, run).await?;
        tx.rollback().await?;
        ended.map(Begun::Ended).ok_or_else(|| superseded(run))
    }
}

/// In slices of a second, each in a transaction of its own: while we wait we hold nothing, others get their turn
/// between the slices, and a server that does not notice our end gives up by itself.
async fn lock_table(db: &Db) -> Result<Tx, DbError> {
    let lock = "SET LOCAL lock_timeout TO '1s';
                LOCK TABLE tarana_base_stations IN SHARE ROW EXCLUSIVE MODE;
                SET LOCAL lock_timeout TO '5s'";
    loop {
        let mut tx = db.begin().await?;
        match tx.script(lock.to_owned()).await {
            Ok(()) => return Ok(tx),
            Err(e) if e.is("55P03") => tx.rollback().await?,
            Err(e) => return Err(e),
        }
    }
}

impl Apply {
    /// Hands over every row of the table, in no order, without keeping any.
    pub async fn rows(&mut self, mut each: impl FnMut(Row)) -> Result<(), Fault> {
        let select = list(|name, kind| format!("{name}::{kind}"));
        let copy = format!("COPY (SELECT {select} FROM tarana_base_stations) TO STDOUT (FORMAT binary)");
        let (mut reader, mut malformed) = (Reader::default(), false);
        self.tx.allow(READ).await?;
        self.tx
            .copy_out(&copy, |piece| {
                malformed = malformed || reader.feed(piece, &mut each).is_err();
            })
            .await?;
        if malformed {
            let message = format!(
                "{}: tarana_base_stations cannot be read: COPY is malformed",
                self.place()
            );
            return Err(Fault::new(Reason::DatabaseError, message));
        }
        Ok(())
    }

    /// Writes nothing and lets go of the table.
    pub async fn give_up(self) -> Result<(), Fault> {
        Ok(self.tx.rollback().await?)
    }

    /// Writes the plan and commits. A dry run writes what it would have done and nothing else.
    pub async fn finish(mut self, plan: &Plan, dry_run: bool) -> Result<Ended, Fault> {
        self.tx.allow(WRITE).await?;
        write::changes(&mut self.tx, self.run, &plan.changes, dry_run).await?;
        let ended = self.complete(plan).await?;
        outbox::announce(&mut self.tx, &[self.run]).await?;
        self.tx.commit().await?;
        Ok(ended)
    }

    /// The final log row. What was withheld and why must be told again after a crash, so it is kept here.
    async fn complete(&mut self, plan: &Plan) -> Result<Ended, DbError> {
        let update = format!(
            "UPDATE tarana_sync_logs SET status = 'completed', outcome = 'completed', reason = $2, message = $3,
                 stations_fetched = $4, inserted = $5, updated = $6, unchanged = $7,
                 deleted = $8, skipped = $9, withheld = $10, listing = $12, proof = $13,
                 errors = coalesce(errors, '[]') || $11, heartbeat_at = now(), completed_at = clock_timestamp(),
                 duration_ms = least(extract(epoch FROM clock_timestamp() - started_at) * 1000, 2147483647)::int
             WHERE id = $1 RETURNING {}",
            ended::COLUMNS
        );
        let clock = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
        let clock = self.tx.one(sqlx::query(clock)).await?;
        let errors = journal::errors(plan, &self.tx.get::<String>(&clock, 0)?);
        let withheld = plan.withheld_because.as_deref();
        let reason = if withheld.is_some() {
            Reason::DeletesWithheld
        } else {
            Reason::Completed
        };
        let counts = &plan.counts;
        let numbers = [
            counts.fetched,
            counts.inserted,
            counts.updated,
            counts.unchanged,
            counts.deleted,
            counts.skipped,
            counts.withheld,
        ];
        let mut statement = sqlx::query(AssertSqlSafe(update))
            .bind(self.run)
            .bind(reason.as_str())
            .bind(withheld);
        for number in numbers {
            // The columns are int, as other programs know them; two thousand million base nodes are not to be feared.
            statement = statement.bind(i32::try_from(number).unwrap_or(i32::MAX));
        }
        let row = self
            .tx
            .one(
                statement
                    .bind(errors)
                    .bind(plan.listing.as_str())
                    .bind(plan.proof.as_str()),
            )
            .await?;
        ended::read(&row).map_err(|e| DbError::new(self.tx.target(), e))
    }

    fn place(&self) -> String {
        self.tx.target().place()
    }
}
