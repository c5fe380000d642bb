//! What a run did to each station, or would have done: `tarana_sync_change_batches`, read through the view
//! `tarana_sync_changes`.
//!
//! An insert is recorded as the row that came, a delete as the row that went, an update as the columns that differ,
//! before and after. Whole rows are kept as they are written, an array for each column (see [`super::write`]); the others
//! as JSON.

use super::columns::{COLUMNS, Value, push_json, push_text, values};
use super::db::Tx;
use super::error::DbError;
use super::write::Batch;
use crate::station::{Change, Row};

/// A batch ends when its text is longer than this, so that reading one page of changes unpacks little.
const FULL: usize = 384 * 1024;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Insert,
    Update,
    Delete,
    Withhold,
}

impl Op {
    pub fn of(change: &Change) -> Self {
        match change {
            Change::Insert(_) => Self::Insert,
            Change::Update { .. } => Self::Update,
            Change::Delete(_) => Self::Delete,
            Change::Withhold(_) => Self::Withhold,
        }
    }

    /// The word in the record. What was withheld is a delete that was not applied.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete | Self::Withhold => "delete",
        }
    }
}

/// The row that is recorded as a whole.
pub(super) fn whole(change: &Change) -> Option<&Row> {
    match change {
        Change::Insert(row) | Change::Delete(row) | Change::Withhold(row) => Some(row),
        Change::Update { .. } => None,
    }
}

/// Records updates in their order; the first of them is number `first` of the run.
pub(super) async fn record(
    tx: &mut Tx,
    batch: &Batch,
    first: i64,
    changes: &[Change],
) -> Result<(), DbError> {
    let mut at = 0;
    while at < changes.len() {
        let (json, taken) = text(&changes[at..]);
        let insert = "INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes)
                      VALUES ($1, $2, $3, $4, $5::text::json)";
        let position = first + i64::try_from(at).unwrap_or(i64::MAX);
        tx.execute(
            sqlx::query(insert)
                .bind(batch.run)
                .bind(i32::try_from(position).unwrap_or(i32::MAX))
                .bind(batch.op.as_str())
                .bind(batch.applied)
                .bind(json),
        )
        .await?;
        at += taken;
    }
    Ok(())
}

/// As many from the front as fit; at least one.
fn text(changes: &[Change]) -> (String, usize) {
    let mut json = String::with_capacity(FULL / 8);
    let mut taken = 0;
    for change in changes {
        json.push(if taken == 0 { '[' } else { ',' });
        if let Change::Update { before, after } = change {
            push_update(&mut json, before, after);
        }
        taken += 1;
        if json.len() >= FULL {
            break;
        }
    }
    json.push(']');
    (json, taken)
}

fn push_update(json: &mut String, before: &Row, after: &Row) {
    json.push_str("{\"serial\":");
    push_text(json, &after.serial);
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
    json.push('}');
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
