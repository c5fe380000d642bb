//! What a run did to each station, or would have done: `tarana_sync_change_batches`, read through the view
//! `tarana_sync_changes`.
//!
//! An insert is recorded as the row that came, a delete as the row that went, an update as the columns that differ,
//! before and after.

use uuid::Uuid;

use super::columns::{COLUMNS, Value, push_json, push_text, values};
use super::db::Tx;
use super::error::DbError;
use crate::station::{Change, Row};

/// A batch ends when its text is longer than this, so that reading one page of changes unpacks little.
const BATCH: usize = 384 * 1024;

/// Records the changes in their order; none of them counts as applied in a dry run.
pub(super) async fn record(tx: &mut Tx, run: Uuid, changes: &[Change], dry_run: bool) -> Result<(), DbError> {
    let mut left = changes;
    let mut first = 1_i32;
    while let Some(head) = left.first() {
        let (op, applied) = kind(head, dry_run);
        let (json, taken) = batch(left, (op, applied), dry_run);
        let insert = "INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes)
                      VALUES ($1, $2, $3, $4, $5::text::json)";
        tx.execute(
            sqlx::query(insert)
                .bind(run)
                .bind(first)
                .bind(op)
                .bind(applied)
                .bind(json),
        )
        .await?;
        left = &left[taken..];
        first = first.saturating_add(i32::try_from(taken).unwrap_or(i32::MAX));
    }
    Ok(())
}

fn kind(change: &Change, dry_run: bool) -> (&'static str, bool) {
    match change {
        Change::Insert(_) => ("insert", !dry_run),
        Change::Update { .. } => ("update", !dry_run),
        Change::Delete(_) => ("delete", !dry_run),
        Change::Withhold(_) => ("delete", false),
    }
}

/// As many changes from the front as are of one kind and fit; at least one.
fn batch(changes: &[Change], wanted: (&str, bool), dry_run: bool) -> (String, usize) {
    let mut json = String::with_capacity(BATCH + BATCH / 8);
    let mut taken = 0;
    for change in changes.iter().take_while(|c| kind(c, dry_run) == wanted) {
        json.push(if taken == 0 { '[' } else { ',' });
        push_change(&mut json, change);
        taken += 1;
        if json.len() >= BATCH {
            break;
        }
    }
    json.push(']');
    (json, taken)
}

fn push_change(json: &mut String, change: &Change) {
    let serial = match change {
        Change::Insert(row) | Change::Delete(row) | Change::Withhold(row) => &row.serial,
        Change::Update { after, .. } => &after.serial,
    };
    json.push_str("{\"serial\":");
    push_text(json, serial);
    match change {
        Change::Insert(row) => push_object(json, "after", &whole(row)),
        Change::Delete(row) | Change::Withhold(row) => push_object(json, "before", &whole(row)),
        Change::Update { before, after } => {
            let (old, new) = (values(before), values(after));
            push_object(
                json,
                "before",
                &std::array::from_fn(|i| (old[i] != new[i]).then_some(old[i])),
            );
            push_object(
                json,
                "after",
                &std::array::from_fn(|i| (old[i] != new[i]).then_some(new[i])),
            );
        }
    }
    json.push('}');
}

fn whole(row: &Row) -> [Option<Value<'_>>; COLUMNS.len()] {
    values(row).map(Some)
}

fn push_object(json: &mut String, name: &str, columns: &[Option<Value<'_>>; COLUMNS.len()]) {
    json.push_str(",\"");
    json.push_str(name);
    json.push_str("\":");
    let mut between = '{';
    for ((column, _), value) in COLUMNS.iter().zip(columns) {
        if let Some(value) = value {
            json.push(between);
            json.push('"');
            json.push_str(column);
            json.push_str("\":");
            push_json(json, *value);
            between = ',';
        }
    }
    json.push_str(if between == '{' { "{}" } else { "}" });
}
