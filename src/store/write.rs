//! Writes the rows that differ, and only those.
//!
//! New and changed rows go as arguments of plain statements, some hundreds at a time. COPY is not for us: PostgreSQL
//! refuses it into a table to whoever is subject to row-level security on it, and a server that waits for the rest of
//! a COPY waits for ever, with the table locked, while one that waits for the next statement gives up after
//! `idle_in_transaction_session_timeout`. `id`, `created_at`, `location`, `network_profile_id` and `bandwidth_mhz` are
//! never named.

use sqlx::AssertSqlSafe;
use sqlx::postgres::types::Oid;

use super::columns::{COLUMNS, list};
use super::db::Tx;
use super::error::DbError;
use super::piece::Piece;
use crate::fault::{Fault, Reason};
use crate::station::{Change, Row};

/// Size at which the argument of one statement ends.
const PIECE: usize = 512 * 1024;
/// Rows that one statement deletes. Other tables refer to them, perhaps without an index.
const DELETES: usize = 500;

/// Writes every insert, update and delete, and sees that each of them happened.
pub(super) async fn stations(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let (mut inserts, mut updates) = (Vec::new(), Vec::new());
    let mut deletes: Vec<&str> = Vec::new();
    for change in changes {
        match change {
            Change::Insert(row) => inserts.push(row),
            Change::Update { after, .. } => updates.push(&**after),
            Change::Delete(row) => deletes.push(&row.serial),
            Change::Withhold(_) => {}
        }
    }
    if !(inserts.is_empty() && updates.is_empty()) {
        let record = record(tx).await?;
        written(tx, record, "inserted", &insert(), &inserts).await?;
        written(tx, record, "updated", &update(), &updates).await?;
    }
    let mut touched = 0;
    for some in deletes.chunks(DELETES) {
        let delete = "DELETE FROM tarana_base_stations WHERE serial_number = ANY ($1)";
        touched += tx.execute(sqlx::query(delete).bind(some)).await?;
    }
    all_touched(tx, "deleted", deletes.len(), touched)
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

/// What this server calls the type of a row of ours.
async fn record(tx: &mut Tx) -> Result<u32, DbError> {
    // Joins by hash or merge would read the whole table for each piece; by its key, each row once.
    tx.script("SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off".to_owned())
        .await?;
    let row = tx
        .one(sqlx::query("SELECT 'tarana_incoming'::regtype::oid"))
        .await?;
    Ok(tx.get::<Oid>(&row, 0)?.0)
}

async fn written(tx: &mut Tx, record: u32, done: &str, statement: &str, rows: &[&Row]) -> Result<(), Fault> {
    let (mut left, mut touched) = (rows.iter(), 0);
    let mut piece = next(record, &mut left);
    while piece.size() > 0 {
        let execute = tx.execute(sqlx::query(AssertSqlSafe(statement)).bind(piece));
        touched += execute.await?;
        piece = next(record, &mut left);
    }
    all_touched(tx, done, rows.len(), touched)
}

fn next<'a>(record: u32, rows: &mut impl Iterator<Item = &'a &'a Row>) -> Piece {
    let mut piece = Piece::new(record);
    while piece.size() < PIECE {
        let Some(row) = rows.next() else { break };
        piece.push(row);
    }
    piece
}

fn insert() -> String {
    let columns = list(|name, _| name.to_owned());
    format!(
        "INSERT INTO tarana_base_stations ({columns}, last_updated)
         SELECT {columns}, now() FROM unnest($1)"
    )
}

fn update() -> String {
    // Not the serial: it is the same, and naming it would have every reference to it looked at.
    let changing = COLUMNS.iter().filter(|(name, _)| *name != "serial_number");
    let assignments: Vec<String> = changing.map(|(name, _)| format!("{name} = i.{name}")).collect();
    let assignments = assignments.join(", ");
    format!(
        "UPDATE tarana_base_stations s SET {assignments}, last_updated = now()
         FROM unnest($1) i WHERE s.serial_number = i.serial_number"
    )
}
