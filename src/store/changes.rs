//! The change records of a run: `tarana_sync_change_batches`, read through the view `tarana_sync_changes`.
//!
//! Inserts and deletes are recorded as whole rows, one array per column (see [`super::write`]). Updates are recorded as
//! JSON: the columns that differ, before and after.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use uuid::Uuid;

use super::columns::{COLUMNS, Value, values};
use super::db::Tx;
use super::error::DbError;
use crate::station::{Change, Row};

/// Size in bytes at which a batch is full, so that reading one page of changes unpacks little.
const BATCH_SIZE: usize = 384 * 1024;

/// What is done to a row.
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

    /// The value in the column `op`. A withheld delete is a delete that was not applied.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete | Self::Withhold => "delete",
        }
    }
}

/// What the changes of one batch have in common.
pub(super) struct Batch {
    pub(super) run: Uuid,
    pub(super) op: Op,
    pub(super) applied: bool,
}

/// Records updates, as rows before and after, in their order. The first of them is number `first` of the run.
pub(super) async fn record_updates(
    tx: &mut Tx,
    batch: &Batch,
    first: i64,
    updates: &[(&Row, &Row)],
) -> Result<(), DbError> {
    let mut recorded = 0;
    while recorded < updates.len() {
        let (json, taken) = updates_json(&updates[recorded..]);
        let insert = "INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes)
                      VALUES ($1, $2, $3, $4, $5::text::json)";
        let position = first + i64::try_from(recorded).unwrap_or(i64::MAX);
        tx.execute(
            sqlx::query(insert)
                .bind(batch.run)
                .bind(i32::try_from(position).unwrap_or(i32::MAX))
                .bind(batch.op.as_str())
                .bind(batch.applied)
                .bind(json),
        )
        .await?;
        recorded += taken;
    }
    Ok(())
}

/// A JSON array of as many updates from the front as fit into a batch, at least one, and their number.
fn updates_json(updates: &[(&Row, &Row)]) -> (String, usize) {
    let mut json = Vec::with_capacity(BATCH_SIZE / 8);
    let mut taken = 0;
    for (before, after) in updates {
        json.push(if taken == 0 { b'[' } else { b',' });
        // Serializing text and numbers into memory does not fail.
        let _ = serde_json::to_writer(&mut json, &UpdateEntry::new(before, after));
        taken += 1;
        if json.len() >= BATCH_SIZE {
            break;
        }
    }
    json.push(b']');
    (String::from_utf8(json).unwrap_or_default(), taken)
}

/// One update as it is recorded.
#[derive(Serialize)]
struct UpdateEntry<'a> {
    serial: &'a str,
    before: ChangedColumns<'a>,
    after: ChangedColumns<'a>,
}

impl<'a> UpdateEntry<'a> {
    fn new(before: &'a Row, after: &'a Row) -> Self {
        let (old, new) = (values(before), values(after));
        let changed = |of: &[Value<'a>; COLUMNS.len()]| {
            ChangedColumns(std::array::from_fn(|i| (old[i] != new[i]).then_some(of[i])))
        };
        Self {
            serial: &after.serial,
            before: changed(&old),
            after: changed(&new),
        }
    }
}

/// An object of the columns that differ.
struct ChangedColumns<'a>([Option<Value<'a>>; COLUMNS.len()]);

impl Serialize for ChangedColumns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for ((column, _), value) in COLUMNS.iter().zip(&self.0) {
            if let Some(value) = value {
                object.serialize_entry(column, value)?;
            }
        }
        object.end()
    }
}
