//! Plans every statement of a run, in one message.

use crate::store::columns::list;
use crate::store::db::Tx;
use crate::store::error::DbError;
use crate::store::statement::Planned;
use crate::store::{log, outbox};

/// Waits for a lock for a moment only.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout TO '200ms'";
/// `lock_not_available`
const LOCKED: &str = "55P03";

/// The server rejects a statement that does not fit the tables.
pub(super) async fn check(tx: &mut Tx) -> Result<(), DbError> {
    let mut statements = log::statements();
    statements.extend(outbox::statements());
    // Last, because a run in Apply holds the lock of this table.
    statements.extend(of_stations());
    let plans = statements.iter().map(Planned::explain);
    let script: Vec<String> = std::iter::once(LOCK_TIMEOUT.to_owned()).chain(plans).collect();
    match tx.script(script.join("; ")).await {
        Err(e) if e.has_code(LOCKED) => Ok(()),
        planned => planned,
    }
}

/// Statements with the same columns and types as those of a run.
fn of_stations() -> Vec<Planned> {
    let names = list(|name, _| name.to_owned());
    let values = list(|name, kind| format!("NULL::{kind} AS {name}"));
    let arrays = list(|_, kind| {
        let (kind, _) = kind.split_once('(').unwrap_or((kind, ""));
        format!("NULL::{kind}[]")
    });
    let read = list(|name, kind| format!("{name}::{kind}"));
    let assignments = list(|name, _| format!("{name} = i.{name}"));
    let (_, without_serial) = assignments.split_once(", ").unwrap_or_default();
    [
        "INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes)
         VALUES (NULL::uuid, NULL::int, NULL::text, NULL::bool, NULL::text::json)"
            .to_owned(),
        format!(
            "INSERT INTO tarana_sync_change_batches ({names}, run, first, op, applied)
             VALUES ({arrays}, NULL::uuid, NULL::int, NULL::text, NULL::bool)"
        ),
        "DELETE FROM tarana_sync_change_batches WHERE run = NULL::uuid".to_owned(),
        format!("SELECT {read} FROM tarana_base_stations"),
        format!("INSERT INTO tarana_base_stations ({names}, last_updated) SELECT {values}, now()"),
        format!(
            "UPDATE tarana_base_stations s SET {without_serial}, last_updated = now()
             FROM (SELECT {values}) i WHERE s.serial_number = i.serial_number"
        ),
        "DELETE FROM tarana_base_stations WHERE serial_number = ANY (NULL::text[])".to_owned(),
    ]
    .map(|sql| Planned::new(sql, ""))
    .into()
}
