//! Pure: the statements that write stations and their change records.

use crate::store::columns::{COLUMNS, list};
use crate::store::table::Table;

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
pub(in crate::store) fn record() -> String {
    let columns = list(|name, _| name.to_owned());
    let values: Vec<String> = (1..=COLUMNS.len() + 4).map(|at| format!("${at}")).collect();
    let values = values.join(", ");
    format!("INSERT INTO tarana_sync_change_batches ({columns}, run, first, op, applied) VALUES ({values})")
}

pub(in crate::store) fn insert() -> String {
    let (columns, incoming) = (list(|name, _| name.to_owned()), incoming_columns());
    format!("INSERT INTO tarana_base_stations ({columns}, last_updated) SELECT {incoming}, now()")
}

/// Both from the same parameters.
pub(in crate::store) fn record_and_insert() -> String {
    format!("WITH recorded AS ({}) {}", record(), insert())
}

pub(in crate::store) fn update(table: &Table) -> String {
    // Without the serial: it is equal, and assigning it would check every foreign key that references it.
    let changing = COLUMNS.iter().filter(|(name, _)| *name != "serial_number");
    let assignments: Vec<String> = changing
        .map(|(name, _)| {
            if table.may_be_unreadable(name) {
                // NULL may stand for a value that could not be read.
                format!("{name} = coalesce(i.{name}, s.{name})")
            } else {
                format!("{name} = i.{name}")
            }
        })
        .collect();
    let (assignments, incoming) = (assignments.join(", "), incoming_columns());
    format!(
        "UPDATE tarana_base_stations s SET {assignments}, last_updated = now()
         FROM (SELECT {incoming}) i WHERE s.serial_number = i.serial_number"
    )
}

pub(in crate::store) const DELETE: &str = "DELETE FROM tarana_base_stations WHERE serial_number = ANY ($1)";
