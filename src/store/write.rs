//! Writes what a plan has: the rows that differ, and only those, and the record of each.
//!
//! Rows go as arguments of plain statements, some thousands at a time, column by column; a new row's record is kept in
//! the same statement, from the same arguments. COPY is not for us: PostgreSQL refuses it into a table to whoever is
//! subject to row-level security on it, and a server that waits for the rest of a COPY waits for ever, with the table
//! locked, while one that waits for the next statement gives up after `idle_in_transaction_session_timeout`. `id`,
//! `created_at`, `location`, `network_profile_id` and `bandwidth_mhz` are never named.

use futures::future::join;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::changes::{self, Op};
use super::columns::{COLUMNS, list};
use super::db::{Statement, Tx};
use super::piece::Piece;
use crate::fault::{Fault, Reason};
use crate::station::{Change, Row};

/// Rows that one statement deletes. Other tables refer to them, perhaps without an index.
const DELETES: usize = 500;

/// Writes every insert, update and delete, and sees that each of them happened. Records the changes in their order. A
/// dry run only records.
pub(super) async fn changes(tx: &mut Tx, run: Uuid, changes: &[Change], dry_run: bool) -> Result<(), Fault> {
    // Joins by hash or merge would read the whole table for each piece; by its key, each row once.
    tx.script("SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off".to_owned())
        .await?;
    let mut first = 1;
    for alike in changes.chunk_by(|a, b| Op::of(a) == Op::of(b)) {
        let op = Op::of(&alike[0]);
        let batch = Batch {
            run,
            op,
            applied: !dry_run && op != Op::Withhold,
        };
        match op {
            Op::Update => {
                changes::record(tx, &batch, first, alike).await?;
                if batch.applied {
                    update(tx, alike).await?;
                }
            }
            Op::Insert | Op::Delete | Op::Withhold => whole(tx, &batch, first, alike).await?,
        }
        first += i64::try_from(alike.len()).unwrap_or(i64::MAX);
    }
    Ok(())
}

/// What changes that are recorded together have in common.
pub(super) struct Batch {
    pub(super) run: Uuid,
    pub(super) op: Op,
    pub(super) applied: bool,
}

/// Records whole rows, and inserts or deletes them.
async fn whole(tx: &mut Tx, batch: &Batch, first: i64, changes: &[Change]) -> Result<(), Fault> {
    let insert = batch.applied && batch.op == Op::Insert;
    let sql = if insert { keep_and_insert() } else { keep() };
    let rows = changes.iter().filter_map(changes::whole);
    let record = Some((batch, first));
    let (pieces, touched) = send(
        tx,
        Pieces {
            rows,
            sql: &sql,
            record,
        },
    )
    .await?;
    if insert {
        return all_touched(tx, "inserted", changes.len(), touched);
    }
    // A piece is one row of the record.
    all_touched(tx, "recorded", pieces, touched)?;
    if batch.applied && batch.op == Op::Delete {
        return delete(tx, changes).await;
    }
    Ok(())
}

async fn update(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let sql = update_statement();
    let rows = changes.iter().filter_map(updated);
    let pieces = Pieces {
        rows,
        sql: &sql,
        record: None,
    };
    let (_, touched) = send(tx, pieces).await?;
    all_touched(tx, "updated", changes.len(), touched)
}

/// One statement's arguments after the other.
struct Pieces<'a, I> {
    rows: I,
    sql: &'a str,
    /// Where the statement keeps a record: of what, and the position of the next row in it.
    record: Option<(&'a Batch, i64)>,
}

impl<'a, I: Iterator<Item = &'a Row>> Pieces<'a, I> {
    /// The next one with all that it says, ready to be sent.
    async fn next(&mut self) -> Option<Statement<'a>> {
        let piece = Piece::of(&mut self.rows).await;
        if piece.rows() == 0 {
            return None;
        }
        let statement = piece.bind(sqlx::query(AssertSqlSafe(self.sql)));
        let Some((batch, first)) = &mut self.record else {
            return Some(statement);
        };
        let position = i32::try_from(*first).unwrap_or(i32::MAX);
        *first += i64::from(piece.rows());
        let statement = statement.bind(batch.run).bind(position);
        Some(statement.bind(batch.op.as_str()).bind(batch.applied))
    }
}

/// Sends all pieces; says how many they were, and how many rows they touched.
async fn send<'a, I>(tx: &mut Tx, mut pieces: Pieces<'a, I>) -> Result<(usize, u64), Fault>
where
    I: Iterator<Item = &'a Row>,
{
    let (mut sent, mut touched) = (0, 0);
    let mut ready = pieces.next().await;
    while let Some(statement) = ready {
        // The next one is made while the server is at work on this one.
        let (done, next) = join(tx.execute(statement), pieces.next()).await;
        (sent, touched, ready) = (sent + 1, touched + done?, next);
    }
    Ok((sent, touched))
}

fn updated(change: &Change) -> Option<&Row> {
    match change {
        Change::Update { after, .. } => Some(after),
        Change::Insert(_) | Change::Delete(_) | Change::Withhold(_) => None,
    }
}

async fn delete(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let mut touched = 0;
    for some in changes.chunks(DELETES) {
        let serials: Vec<&str> = some
            .iter()
            .filter_map(changes::whole)
            .map(|row| row.serial.as_str())
            .collect();
        let delete = "DELETE FROM tarana_base_stations WHERE serial_number = ANY ($1)";
        touched += tx.execute(sqlx::query(delete).bind(serials)).await?;
    }
    all_touched(tx, "deleted", changes.len(), touched)
}

/// The table is locked, so nobody else can be the reason: something in the database swallows our writes.
fn all_touched(tx: &Tx, done: &str, expected: usize, touched: u64) -> Result<(), Fault> {
    if touched == expected as u64 {
        return Ok(());
    }
    let message = format!(
        "{}: {touched} of {expected} rows of tarana_base_stations were {done}, so nothing was kept; a trigger, rule or row-level security policy stands in the way",
        tx.target().place()
    );
    Err(Fault::new(Reason::DatabaseError, message))
}

/// `unnest($1::text[]) AS serial_number, …`
fn incoming() -> String {
    let mut at = 0;
    list(|name, kind| {
        at += 1;
        let kind = if kind.starts_with("numeric") {
            "numeric"
        } else {
            kind
        };
        format!("unnest(${at}::{kind}[]) AS {name}")
    })
}

/// The rows of a piece as one row of the record; $20 to $23 are run, position, kind and whether it was done.
fn keep() -> String {
    let columns = list(|name, _| name.to_owned());
    let values: Vec<String> = (1..=COLUMNS.len() + 4).map(|at| format!("${at}")).collect();
    let values = values.join(", ");
    format!("INSERT INTO tarana_sync_change_batches ({columns}, run, first, op, applied) VALUES ({values})")
}

fn keep_and_insert() -> String {
    let (keep, columns, incoming) = (keep(), list(|name, _| name.to_owned()), incoming());
    format!(
        "WITH kept AS ({keep})
         INSERT INTO tarana_base_stations ({columns}, last_updated) SELECT {incoming}, now()"
    )
}

fn update_statement() -> String {
    // Not the serial: it is the same, and naming it would have every reference to it looked at.
    let changing = COLUMNS.iter().filter(|(name, _)| *name != "serial_number");
    let assignments: Vec<String> = changing.map(|(name, _)| format!("{name} = i.{name}")).collect();
    let (assignments, incoming) = (assignments.join(", "), incoming());
    format!(
        "UPDATE tarana_base_stations s SET {assignments}, last_updated = now()
         FROM (SELECT {incoming}) i WHERE s.serial_number = i.serial_number"
    )
}
