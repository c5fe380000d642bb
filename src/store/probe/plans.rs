//! Plans every statement of a run, in one message.

use crate::store::columns::list;
use crate::store::db::Tx;
use crate::store::error::DbError;
use crate::store::statement::Planned;
use crate::store::table::Table;
use crate::store::write::statements;
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

/// Those that read and write the stations and their change records, of a table without surprises.
fn of_stations() -> Vec<Planned> {
    let table = Table::default();
    let arrays = list(|_, kind| {
        let (kind, _) = kind.split_once('(').unwrap_or((kind, ""));
        format!("{kind}[]")
    })
    .replace(',', " ");
    let recorded = format!("{arrays} uuid int text bool");
    vec![
        Planned::new(
            "INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes) VALUES ($1, $2, $3, $4, $5::json)",
            "uuid int text bool text",
        ),
        Planned::new(statements::record(), recorded.clone()),
        Planned::new("DELETE FROM tarana_sync_change_batches WHERE run = $1", "uuid"),
        Planned::new(
            format!("SELECT {} FROM tarana_base_stations", table.select_list()),
            "",
        ),
        Planned::new(statements::insert(), arrays.clone()),
        Planned::new(statements::record_and_insert(), recorded),
        Planned::new(statements::update(&table), arrays),
        Planned::new(statements::DELETE, "text[]"),
    ]
}
