//! What all parts of writing share: the transaction with its savepoint, the position of the next change record, and the result so far.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::rejection::Rejection;
use super::statements;
use crate::fault::{Fault, Reason};
use crate::station::{Plan, Rejected, Row, Text};
use crate::store::changes::{self, Batch, Op};
use crate::store::db::{Statement, Tx};
use crate::store::encode::RowChunk;
use crate::store::table::Table;

/// Maximum number of rows that are repaired, skipped or withheld one by one. Each costs some dozens of statements.
const MAX_REJECTED: usize = 1000;
/// Up to this many records may be skipped, however few there are.
const FREE_SKIPPED: usize = 10;

pub(in crate::store) struct Writer<'a> {
    pub tx: &'a mut Tx,
    pub table: &'a Table,
    pub run: Uuid,
    pub dry_run: bool,
    /// The plan without its changes, corrected by what the database rejected.
    pub result: Plan,
    /// Position of the next change record.
    next: i64,
    rejected: usize,
    skipped: usize,
    first: Option<String>,
}

impl<'a> Writer<'a> {
    pub fn new(tx: &'a mut Tx, table: &'a Table, run: Uuid, plan: &Plan, dry_run: bool) -> Self {
        let result = Plan {
            listing: plan.listing,
            proof: plan.proof.clone(),
            changes: Vec::new(),
            counts: plan.counts,
            skipped: plan.skipped.clone(),
            notes: plan.notes.clone(),
            withheld_because: plan.withheld_because.clone(),
        };
        Self {
            tx,
            table,
            run,
            dry_run,
            result,
            next: 1,
            rejected: 0,
            skipped: 0,
            first: None,
        }
    }

    /// Sets the savepoint to which [`Self::undo`] returns.
    pub async fn begin(&mut self) -> Result<(), Fault> {
        Ok(self.tx.script("SAVEPOINT rows".to_owned()).await?)
    }

    /// Keeps what was written since the savepoint, and sets the next one.
    pub async fn keep(&mut self) -> Result<(), Fault> {
        let next = "RELEASE SAVEPOINT rows; SAVEPOINT rows";
        Ok(self.tx.script(next.to_owned()).await?)
    }

    /// Undoes what was written since the savepoint.
    pub async fn undo(&mut self) -> Result<(), Fault> {
        Ok(self.tx.script("ROLLBACK TO SAVEPOINT rows".to_owned()).await?)
    }

    /// Releases the savepoint.
    pub async fn end(&mut self) -> Result<(), Fault> {
        Ok(self.tx.script("RELEASE SAVEPOINT rows".to_owned()).await?)
    }

    /// Executes a statement that writes this many rows. If the database rejects some of them, all are undone.
    pub async fn attempt(
        &mut self,
        statement: Statement<'_>,
        rows: usize,
    ) -> Result<Option<Rejection>, Fault> {
        let rejection = match self.tx.execute(statement).await {
            Ok(touched) if touched == rows as u64 => return Ok(None),
            Ok(touched) if touched > rows as u64 => return Err(self.ambiguous(rows, touched)),
            Ok(_) => Rejection::suppressed(),
            Err(error) => Rejection::of(error)?,
        };
        self.undo().await?;
        Ok(Some(rejection))
    }

    fn ambiguous(&self, rows: usize, touched: u64) -> Fault {
        let message = format!(
            "{}: {touched} rows of tarana_base_stations have the serial numbers of {rows}, so nothing was kept; remove the rows that \
             repeat a serial number, then create a unique index on serial_number",
            self.tx.target().display_name()
        );
        Fault::new(Reason::DatabaseError, message)
    }

    /// Binds run, position, op and applied of a change batch.
    pub fn bind_batch<'q>(&self, statement: Statement<'q>, op: Op, applied: bool) -> Statement<'q> {
        let statement = statement.bind(self.run).bind(self.position());
        statement.bind(op.as_str()).bind(applied)
    }

    fn position(&self) -> i32 {
        i32::try_from(self.next).unwrap_or(i32::MAX)
    }

    /// Counts change records that were written.
    pub fn recorded(&mut self, rows: usize) {
        self.next += i64::try_from(rows).unwrap_or(i64::MAX);
    }

    /// Records whole rows.
    pub async fn record_rows(&mut self, op: Op, applied: bool, rows: &[&Row]) -> Result<(), Fault> {
        let mut rows = rows.iter().copied();
        loop {
            let chunk = RowChunk::take_from(&mut rows).await;
            let count = chunk.rows() as usize;
            if count == 0 {
                return Ok(());
            }
            let statement = chunk.bind(sqlx::query(AssertSqlSafe(statements::record())));
            let statement = self.bind_batch(statement, op, applied);
            self.tx.execute(statement).await?;
            self.recorded(count);
        }
    }

    /// Records updates: rows before and after.
    pub async fn record_updates(&mut self, applied: bool, updates: &[(&Row, &Row)]) -> Result<(), Fault> {
        let batch = Batch {
            run: self.run,
            op: Op::Update,
            applied,
        };
        changes::record_updates(self.tx, &batch, self.next, updates).await?;
        self.recorded(updates.len());
        Ok(())
    }

    /// Adds a note. A NUL or a line break cannot come from the database.
    pub fn note(&mut self, serial: &Text, why: String) {
        self.first.get_or_insert_with(|| format!("{serial}: {why}"));
        self.result.notes.push(Rejected {
            serial: Some(serial.clone()),
            why,
        });
    }

    /// Skips a record that the database rejects.
    pub fn skip(&mut self, serial: &Text, rejection: &Rejection) -> Result<(), Fault> {
        let why = format!("the database rejected the row: {}", rejection.why);
        self.first.get_or_insert_with(|| format!("{serial}: {why}"));
        self.result.skipped.push(Rejected {
            serial: Some(serial.clone()),
            why,
        });
        self.result.counts.skipped += 1;
        self.skipped += 1;
        let fetched = usize::try_from(self.result.counts.fetched).unwrap_or_default();
        if self.skipped > FREE_SKIPPED.max(fetched / 2) {
            return Err(self.too_many(&format!("{} of {fetched} records", self.skipped)));
        }
        Ok(())
    }

    /// Counts a row that is treated by itself.
    pub fn count_rejected(&mut self, serial: &Text, rejection: &Rejection) -> Result<(), Fault> {
        self.rejected += 1;
        if self.rejected > MAX_REJECTED {
            self.first
                .get_or_insert_with(|| format!("{serial}: {}", rejection.why));
            return Err(self.too_many(&format!("more than {MAX_REJECTED} rows")));
        }
        Ok(())
    }

    fn too_many(&self, how_many: &str) -> Fault {
        let message = format!(
            "{} rejected {how_many}, so nothing was kept; the first was {}; correct the constraint, type or trigger of tarana_base_stations",
            self.tx.target().display_name(),
            self.first.as_deref().unwrap_or_default()
        );
        Fault::new(Reason::DatabaseError, message)
    }
}
