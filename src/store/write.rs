//! Writes the rows that differ, and only those.
//!
//! New and changed rows go by COPY into a temporary table and from there by one statement each: straight into the
//! table is not possible, since PostgreSQL refuses COPY to whoever is subject to row-level security on it. `id`, `created_at`, `location`,
//! `network_profile_id` and `bandwidth_mhz` are never named.

use sqlx::AssertSqlSafe;

use super::columns::{COLUMNS, list, values};
use super::copy::{HEADER, TRAILER, put_bool, put_row, put_value};
use super::db::Tx;
use crate::fault::{Fault, Reason};
use crate::station::{Change, Row};

/// Size of one message of a COPY.
const PIECE: usize = 128 * 1024;

/// Writes every insert, update and delete, and sees that each of them happened.
pub(super) async fn stations(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let (mut inserts, mut updates) = (0, 0);
    let mut deletes: Vec<&str> = Vec::new();
    for change in changes {
        match change {
            Change::Insert(_) => inserts += 1,
            Change::Update { .. } => updates += 1,
            Change::Delete(row) => deletes.push(&row.serial),
            Change::Withhold(_) => {}
        }
    }
    if inserts + updates > 0 {
        incoming(tx, changes).await?;
    }
    if inserts > 0 {
        let touched = tx.execute(sqlx::query(AssertSqlSafe(insert()))).await?;
        all_touched(tx, "inserted", inserts, touched)?;
    }
    if updates > 0 {
        let touched = tx.execute(sqlx::query(AssertSqlSafe(update()))).await?;
        all_touched(tx, "updated", updates, touched)?;
    }
    if !deletes.is_empty() {
        let expected = deletes.len() as u64;
        let delete =
            sqlx::query("DELETE FROM tarana_base_stations WHERE serial_number = ANY ($1)").bind(deletes);
        let touched = tx.execute(delete).await?;
        all_touched(tx, "deleted", expected, touched)?;
    }
    Ok(())
}

/// The table is locked, so nobody else can be the reason: something in the database swallows our writes.
fn all_touched(tx: &Tx, done: &str, expected: u64, touched: u64) -> Result<(), Fault> {
    if touched == expected {
        return Ok(());
    }
    let message = format!(
        "{}: {touched} of {expected} rows of tarana_base_stations were {done}, so nothing was kept; a trigger, rule or row-level security policy stands in the way",
        tx.target().place()
    );
    Err(Fault::new(Reason::DatabaseError, message))
}

/// Brings the new and changed rows to the server.
async fn incoming(tx: &mut Tx, changes: &[Change]) -> Result<(), Fault> {
    let columns = list(|name, kind| format!("{name} {kind}"));
    tx.script(format!(
        "CREATE TEMP TABLE tarana_incoming (fresh boolean, {columns}) ON COMMIT DROP"
    ))
    .await?;
    let mut rows = changes.iter().filter_map(written);
    let mut state = Some(HEADER);
    let next = |buffer: &mut Vec<u8>| {
        if let Some(header) = state {
            buffer.extend_from_slice(header);
        }
        while state.is_some() && buffer.len() < PIECE {
            let Some((fresh, row)) = rows.next() else {
                buffer.extend_from_slice(TRAILER);
                state = None;
                break;
            };
            put_row(buffer, COLUMNS.len() + 1);
            put_bool(buffer, fresh);
            for value in values(row) {
                put_value(buffer, value);
            }
        }
        state = state.map(|_| &[] as &[u8]);
    };
    tx.copy_in("COPY tarana_incoming FROM STDIN (FORMAT binary)", next)
        .await?;
    Ok(())
}

fn written(change: &Change) -> Option<(bool, &Row)> {
    match change {
        Change::Insert(row) => Some((true, row)),
        Change::Update { after, .. } => Some((false, after)),
        Change::Delete(_) | Change::Withhold(_) => None,
    }
}

fn insert() -> String {
    let columns = list(|name, _| name.to_owned());
    format!(
        "INSERT INTO tarana_base_stations ({columns}, last_updated)
         SELECT {columns}, now() FROM tarana_incoming WHERE fresh"
    )
}

fn update() -> String {
    // Not the serial: it is the same, and naming it would have every reference to it looked at.
    let changing = COLUMNS.iter().filter(|(name, _)| *name != "serial_number");
    let assignments: Vec<String> = changing.map(|(name, _)| format!("{name} = i.{name}")).collect();
    let assignments = assignments.join(", ");
    format!(
        "UPDATE tarana_base_stations s SET {assignments}, last_updated = now()
         FROM tarana_incoming i WHERE NOT i.fresh AND s.serial_number = i.serial_number"
    )
}
