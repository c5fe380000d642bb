//! Writes a plan: only the rows that differ, and the change record of each.
//!
//! Rows are bound as array parameters, column by column, some thousands per statement. The change record of an insert is
//! written by the same statement from the same parameters. COPY is not used: PostgreSQL refuses COPY into a table to a role
//! that is subject to row-level security on it, and a server that waits for the rest of a COPY keeps the table locked
//! without limit, whereas `idle_in_transaction_session_timeout` ends a transaction that waits for its next statement. `id`,
//! `created_at`, `location`, `network_profile_id` and `bandwidth_mhz` are never written.

use futures::future::join;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::changes::{self, Batch, Op};
use super::columns::{COLUMNS, list};
use super::db::{Statement, Tx};
use super::encode::RowChunk;
use crate::fault::{Fault, Reason};
use crate::station::{Change, Row};

/// Rows that one statement deletes. Other tables reference them, perhaps without an index.
const DELETE_CHUNK: usize = 500;

/// Writes every insert, update and delete, checks that each row was affected, and records the changes in their order. A dry
/// run only records them.
pub(super) async fn write_changes(
    tx: &mut Tx,
    run: Uuid,
    changes: &[Change],
    dry_run: bool,
) -> Result<(), Fault> {
    // Hash and merge joins would read the whole table for each chunk; a nested loop uses the key.
    tx.script("SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off".to_owned())
        .await?;
    let mut first = 1;
    for same_op in changes.chunk_by(|a, b| Op::of(a) == Op::of(b)) {
        let op = Op::of(&same_op[0]);
        let batch = Batch {
            run,
            op,
            applied: !dry_run && op != Op::Withhold,
        };
        match op {
            Op::Update => {
                changes::record_updates(tx, &batch, first, same_op).await?;
                if batch.applied {
                    update_rows(tx, same_op).await?;
                }
            }
            Op::Insert | Op::Delete | Op::Withhold => write_whole_rows(tx, &batch, first, same_op).await?,
        }
        first += i64::try_from(same_op.len()).unwrap_or(i64::MAX);
    }
    Ok(())
}

/// Records whole rows, and inserts or deletes them.
async fn write_whole_rows(tx: &mut Tx, batch: &Batch, first: i64, changes: &[Change]) -> Result<(), Fault> {
    let insert = batch.applied && batch.op == Op::Insert;
    let sql = if insert {
        record_and_insert_sql()
    } else {
        record_sql()
    };
    let rows = changes.iter().filter_map(changes::whole_row);
    let record = Some((batch, first));
    let (chunks, touched) = send_chunks(
        tx,
        Chunks {
            rows,
            sql: &sql,
            record,
        },
    )
    .await?;
    if insert {
        return check_affected(tx, "inserted", changes.len(), touched);
    }
    // A chunk is one row of tarana_sync_change_batches.
    check_affected(tx, "recorded", chunks, touched)?;
    if batch.applied && batch.op == Op::Delete {
        return delete_rows(tx, changes).await;
    }
    Ok(())
}

async fn update_rows(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let sql = update_sql();
    let rows = changes.iter().filter_map(updated_row);
    let chunks = Chunks {
        rows,
        sql: &sql,
        record: None,
    };
    let (_, touched) = send_chunks(tx, chunks).await?;
    check_affected(tx, "updated", changes.len(), touched)
}

/// Splits rows into statements.
struct Chunks<'a, I> {
    rows: I,
    sql: &'a str,
    /// For a statement that records: the batch, and the position of its next row.
    record: Option<(&'a Batch, i64)>,
}

impl<'a, I: Iterator<Item = &'a Row>> Chunks<'a, I> {
    /// The next statement with its parameters bound.
    async fn next(&mut self) -> Option<Statement<'a>> {
        let chunk = RowChunk::take_from(&mut self.rows).await;
        if chunk.rows() == 0 {
            return None;
        }
        let statement = chunk.bind(sqlx::query(AssertSqlSafe(self.sql)));
        let Some((batch, first)) = &mut self.record else {
            return Some(statement);
        };
        let position = i32::try_from(*first).unwrap_or(i32::MAX);
        *first += i64::from(chunk.rows());
        let statement = statement.bind(batch.run).bind(position);
        Some(statement.bind(batch.op.as_str()).bind(batch.applied))
    }
}

/// Executes all statements. Returns their number and the number of rows that they affected.
async fn send_chunks<'a, I>(tx: &mut Tx, mut chunks: Chunks<'a, I>) -> Result<(usize, u64), Fault>
where
    I: Iterator<Item = &'a Row>,
{
    let (mut sent, mut touched) = (0, 0);
    let mut ready = chunks.next().await;
    while let Some(statement) = ready {
        // Encode the next chunk while the server executes this one.
        let (done, next) = join(tx.execute(statement), chunks.next()).await;
        (sent, touched, ready) = (sent + 1, touched + done?, next);
    }
    Ok((sent, touched))
}

fn updated_row(change: &Change) -> Option<&Row> {
    match change {
        Change::Update { after, .. } => Some(after),
        Change::Insert(_) | Change::Delete(_) | Change::Withhold(_) => None,
    }
}

async fn delete_rows(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let mut touched = 0;
    for some in changes.chunks(DELETE_CHUNK) {
        let serials: Vec<&str> = some
            .iter()
            .filter_map(changes::whole_row)
            .map(|row| row.serial.as_str())
            .collect();
        let delete = "DELETE FROM tarana_base_stations WHERE serial_number = ANY ($1)";
        touched += tx.execute(sqlx::query(delete).bind(serials)).await?;
    }
    check_affected(tx, "deleted", changes.len(), touched)
}

/// The table is locked, so a row that was not affected was suppressed by a trigger, a rule or a policy.
fn check_affected(tx: &Tx, done: &str, expected: usize, touched: u64) -> Result<(), Fault> {
    if touched == expected as u64 {
        return Ok(());
    }
    let message = format!(
        "{}: {touched} of {expected} rows of tarana_base_stations were {done}, so nothing was kept; a trigger, rule or row-level security policy stands in the way",
        tx.target().display_name()
    );
    Err(Fault::new(Reason::DatabaseError, message))
}

/// `unnest($1::text[]) AS serial_number, …`
fn incoming_columns() -> String {
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

/// Inserts a chunk as one change batch; $20 to $23 are run, position, op and applied.
fn record_sql() -> String {
    let columns = list(|name, _| name.to_owned());
    let values: Vec<String> = (1..=COLUMNS.len() + 4).map(|at| format!("${at}")).collect();
    let values = values.join(", ");
    format!("INSERT INTO tarana_sync_change_batches ({columns}, run, first, op, applied) VALUES ({values})")
}

fn record_and_insert_sql() -> String {
    let (record, columns, incoming) = (record_sql(), list(|name, _| name.to_owned()), incoming_columns());
    format!(
        "WITH recorded AS ({record})
         INSERT INTO tarana_base_stations ({columns}, last_updated) SELECT {incoming}, now()"
    )
}

fn update_sql() -> String {
    // Without the serial: it is equal, and assigning it would check every foreign key that references it.
    let changing = COLUMNS.iter().filter(|(name, _)| *name != "serial_number");
    let assignments: Vec<String> = changing.map(|(name, _)| format!("{name} = i.{name}")).collect();
    let (assignments, incoming) = (assignments.join(", "), incoming_columns());
    format!(
        "UPDATE tarana_base_stations s SET {assignments}, last_updated = now()
         FROM (SELECT {incoming}) i WHERE s.serial_number = i.serial_number"
    )
}
