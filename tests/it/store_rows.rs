//! Rows, values and deletes that the application's types, constraints and triggers reject: they are noted, and everything else is
//! written.

use tarana_operator::station::{Change, Row};
use tarana_operator::store::{ClosedRow, RunInfo, Store};

use crate::store_support::{
    AccessMode, Database, apply, open, plan, ready, row, run, table, tests_with_mode,
};

mod deletes;
mod exchanges;
mod numbers;
mod policies;
mod rejected;
mod triggers;

/// Tests as a superuser, and as the role that is recommended for production.
macro_rules! tests_as_both_roles {
    ($($test:ident),* $(,)?) => {
        crate::store_rows::tests_with_mode!(direct, Direct, $($test),*);
        crate::store_rows::tests_with_mode!(least_privilege, LeastPrivilege, $($test),*);
    };
}
use tests_as_both_roles;

/// A run that makes the table equal to `fleet`, as a listing would.
async fn sync(store: &Store, fleet: &[Row]) -> ClosedRow {
    sync_with(store, fleet, &run()).await
}

async fn sync_with(store: &Store, fleet: &[Row], run: &RunInfo) -> ClosedRow {
    let fence = open(store, run).await;
    let mut apply = apply(store, run, fence).await;
    let stored = table(&mut apply).await;
    let mut changes = Vec::new();
    for new in fleet {
        match stored.iter().find(|row| row.serial == new.serial) {
            None => changes.push(Change::Insert(new.clone())),
            Some(before) if before != new => changes.push(Change::Update {
                before: Box::new(before.clone()),
                after: Box::new(new.clone()),
            }),
            Some(_) => {}
        }
    }
    let stale = stored
        .iter()
        .filter(|row| fleet.iter().all(|new| new.serial != row.serial));
    changes.extend(stale.cloned().map(Change::Delete));
    let mut plan = plan(changes);
    plan.counts.fetched = i64::try_from(fleet.len()).unwrap();
    plan.counts.unchanged = plan.counts.fetched - plan.counts.inserted - plan.counts.updated;
    let closed = apply.finish(&plan, run.dry_run, &[]).await.unwrap();
    assert_counts_add_up(&closed);
    closed
}

fn assert_counts_add_up(closed: &ClosedRow) {
    let counts = closed.counts;
    let sum = counts.inserted + counts.updated + counts.unchanged + counts.skipped;
    assert_eq!(counts.fetched, sum, "{counts:?}");
}

/// Inserted, updated, unchanged, deleted, skipped, withheld.
fn counts(closed: &ClosedRow) -> [i64; 6] {
    let c = closed.counts;
    [
        c.inserted,
        c.updated,
        c.unchanged,
        c.deleted,
        c.skipped,
        c.withheld,
    ]
}

/// What the newest run noted, sorted.
async fn notes(database: &Database) -> String {
    let select = "SELECT string_agg(concat_ws(' ', e->>'kind', e->>'message'), E'\\n' ORDER BY e->>'serial', e->>'message')
                  FROM (SELECT errors FROM tarana_sync_logs ORDER BY created_at DESC LIMIT 1) l, jsonb_array_elements(errors) e";
    database.value(select).await
}

/// The changes that the newest run recorded.
async fn changes(database: &Database) -> String {
    let select = "SELECT string_agg(concat_ws(' ', seq, op, serial, applied), ', ' ORDER BY seq) FROM tarana_sync_changes
                  WHERE run = (SELECT id FROM tarana_sync_logs ORDER BY created_at DESC LIMIT 1)";
    database.value(select).await
}

/// Columns of all rows.
async fn stored(database: &Database, columns: &str) -> String {
    let select = format!(
        "SELECT string_agg(concat_ws(' ', serial_number, {columns}), ', ' ORDER BY serial_number) FROM tarana_base_stations"
    );
    database.value(&select).await
}

fn fleet(serials: &[&str]) -> Vec<Row> {
    serials.iter().map(|serial| row(serial)).collect()
}
