//! Writes a plan: only the rows that differ, and the change record of each.
//!
//! Rows are bound as array parameters, column by column, some thousands per statement. The change record of an insert is
//! written by the same statement from the same parameters. COPY is not used: PostgreSQL refuses COPY into a table to a role
//! that is subject to row-level security on it, and a server that waits for the rest of a COPY keeps the table locked
//! without limit, whereas `idle_in_transaction_session_timeout` ends a transaction that waits for its next statement. `id`,
//! `created_at`, `location`, `network_profile_id` and `bandwidth_mhz` are never written.
//!
//! Deletes come first, then updates, then inserts, so that a new station can have the unique name of an old one. What the types,
//! constraints and triggers of the table reject costs a value, a row or a delete, never the run: [`rows`] isolates such a row after its
//! statement failed, [`repair`] drops the value, [`exchanges`] resolves swaps, [`deletes`] withholds what is referenced.

mod conflicts;
mod deletes;
mod exchanges;
mod fields;
mod item;
mod rejection;
mod repair;
mod rows;
pub(super) mod statements;
mod writer;

use std::collections::BTreeMap;

use uuid::Uuid;

use self::item::Item;
use self::rejection::Rejection;
use self::rows::{Fate, RowWriter};
use self::writer::Writer;
use super::changes::Op;
use super::db::Tx;
use super::table::Table;
use crate::fault::Fault;
use crate::station::{Change, Plan, Row};

/// Writes every insert, update and delete, and records the changes. A dry run only records them, after it tried the deletes. Returns the
/// plan without its changes, corrected by what the database rejected.
pub(super) async fn write_changes(
    tx: &mut Tx,
    table: &Table,
    run: Uuid,
    plan: &Plan,
    dry_run: bool,
) -> Result<Plan, Fault> {
    // Hash and merge joins would read the whole table for each chunk; a nested loop uses the key.
    let begin = "SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off; SAVEPOINT plan";
    tx.script(begin.to_owned()).await?;
    let result = write_plan(Writer::new(tx, table, run, plan, dry_run), &plan.changes).await?;
    // Constraints that the application deferred would fail the commit.
    let check = "SET CONSTRAINTS ALL IMMEDIATE";
    let Err(error) = tx.script(check.to_owned()).await else {
        return Ok(result);
    };
    Rejection::of(error)?;
    tx.script(format!("ROLLBACK TO SAVEPOINT plan; {check}")).await?;
    write_plan(Writer::new(tx, table, run, plan, dry_run), &plan.changes).await
}

async fn write_plan(mut w: Writer<'_>, changes: &[Change]) -> Result<Plan, Fault> {
    deletes::write(&mut w, &whole_rows(changes, Op::Delete)).await?;
    write_updates(&mut w, changes).await?;
    write_inserts(&mut w, changes).await?;
    let withheld = whole_rows(changes, Op::Withhold);
    w.record_rows(Op::Withhold, false, &withheld).await?;
    Ok(w.result)
}

/// The rows of the changes of a kind that is recorded as whole rows.
fn whole_rows(changes: &[Change], op: Op) -> Vec<&Row> {
    let of_op = changes.iter().filter(|change| Op::of(change) == op);
    of_op
        .filter_map(|change| match change {
            Change::Insert(row) | Change::Delete(row) | Change::Withhold(row) => Some(row),
            Change::Update { .. } => None,
        })
        .collect()
}

/// The updates as items.
fn updated_rows(changes: &[Change]) -> Vec<Item<'_>> {
    let pairs = changes.iter().filter_map(|change| match change {
        Change::Update { before, after } => Some((&**before, &**after)),
        Change::Insert(_) | Change::Delete(_) | Change::Withhold(_) => None,
    });
    pairs
        .enumerate()
        .map(|(index, (before, after))| Item::new(index, Some(before), after))
        .collect()
}

async fn write_updates(w: &mut Writer<'_>, changes: &[Change]) -> Result<(), Fault> {
    let mut items = updated_rows(changes);
    if !w.table.is_exact() {
        items = as_stored(w, items);
    }
    if w.dry_run {
        return w.record_updates(false, &written(&items, &BTreeMap::new())).await;
    }
    if items.is_empty() {
        return Ok(());
    }
    w.begin().await?;
    let mut rows = RowWriter::new(w, Op::Update, &items);
    rows.write_all().await?;
    rows.settle_conflicts().await?;
    rows.report_altered();
    let fates = std::mem::take(&mut rows.fates);
    w.end().await?;
    w.record_updates(true, &written(&items, &fates)).await
}

/// The rows before and after the updates that were written.
fn written<'r>(items: &'r [Item<'_>], fates: &'r BTreeMap<usize, Fate>) -> Vec<(&'r Row, &'r Row)> {
    let pair = |item: &'r Item<'_>| {
        let after = match fates.get(&item.index) {
            None => item.after(),
            Some(Fate::Changed(row)) => row,
            Some(Fate::NotWritten) => return None,
        };
        Some((item.before?, after))
    };
    items.iter().filter_map(pair).collect()
}

async fn write_inserts(w: &mut Writer<'_>, changes: &[Change]) -> Result<(), Fault> {
    let mut items: Vec<Item<'_>> = whole_rows(changes, Op::Insert)
        .into_iter()
        .enumerate()
        .map(|(index, row)| Item::new(index, None, row))
        .collect();
    if !w.table.is_exact() {
        items = as_stored(w, items);
    }
    if w.dry_run {
        let rows: Vec<&Row> = item::rows(&items).collect();
        return w.record_rows(Op::Insert, false, &rows).await;
    }
    if items.is_empty() {
        return Ok(());
    }
    w.begin().await?;
    let mut rows = RowWriter::new(w, Op::Insert, &items);
    rows.write_all().await?;
    rows.report_altered();
    w.end().await
}

/// The rows as the columns store them, without updates that change nothing then.
fn as_stored<'i>(w: &mut Writer<'_>, items: Vec<Item<'i>>) -> Vec<Item<'i>> {
    let planned = items.len();
    let mut stored: Vec<Item<'i>> = items
        .into_iter()
        .map(|item| item.with(w.table.as_stored(item.after())))
        .filter(|item| !item.is_unchanged())
        .collect();
    for (index, item) in stored.iter_mut().enumerate() {
        item.index = index;
    }
    let unchanged = i64::try_from(planned - stored.len()).unwrap_or(i64::MAX);
    w.result.counts.updated -= unchanged;
    w.result.counts.unchanged += unchanged;
    stored
}
