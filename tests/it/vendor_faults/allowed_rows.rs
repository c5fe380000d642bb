//! Pure: the rows that each station may have after a completed run.

use std::collections::{BTreeMap, BTreeSet};

use devenv::simulator::Device;
use serde_json::{Value, json};

use super::expectations::{RecordResult, record_result};
use crate::expected_table;

/// What a run started from, and what the vendor returned to it.
pub struct Inputs<'a> {
    /// The table before the run.
    pub before: &'a BTreeMap<String, Value>,
    /// The fleet before and after its change during the run.
    pub fleets: &'a [Vec<Device>],
    /// Defects of records by serial number.
    pub defects: &'a BTreeMap<String, BTreeSet<Defect>>,
    /// Stale rows stay: deletion was not requested or was withheld.
    pub keeps_stale: bool,
    /// A defect must have its effect. Otherwise it may: another attempt may have read an intact record.
    pub strict: bool,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    Record(devenv::simulator::RecordDefect),
    /// Text that is not UTF-8.
    Latin1,
}

impl Defect {
    fn record_result(self) -> RecordResult {
        match self {
            Self::Record(defect) => record_result(defect),
            Self::Latin1 => RecordResult::Skipped,
        }
    }
}

impl Inputs<'_> {
    /// Every serial number that the table may contain.
    pub fn serials(&self) -> BTreeSet<String> {
        let known = self.before.keys().cloned();
        let listed = self.fleets.iter().flatten().map(|row| row.serial.to_string());
        known.chain(listed).collect()
    }

    /// The rows that this station may have; `None` is no row.
    pub fn allowed_rows(&self, serial: &str) -> Vec<Option<Value>> {
        let before = self.before.get(serial);
        let mut allowed = Vec::new();
        if self.fleets.len() > 1 {
            // It may have moved between two pages while they were read: then its row is unchanged.
            allowed.push(before.cloned());
        }
        for fleet in self.fleets {
            match fleet.iter().find(|row| *row.serial == *serial) {
                Some(row) => allowed.extend(self.listed(serial, row, before)),
                None if self.keeps_stale => allowed.push(before.cloned()),
                None => allowed.push(None),
            }
        }
        allowed
    }

    /// The rows that a listed station may have.
    fn listed(&self, serial: &str, row: &Device, before: Option<&Value>) -> Vec<Option<Value>> {
        let Some((_, expected)) = expected_table::expected_row(&row.value().unwrap(), row.region) else {
            // Without a position nothing is inserted. An existing row keeps its position, and no test changes other columns.
            return vec![before.cloned()];
        };
        let row = overlay(expected, before);
        let mut outcomes = vec![Some(row.clone())];
        for defect in self.defects.get(serial).into_iter().flatten() {
            let outcome = match defect.record_result() {
                RecordResult::Exact => Some(row.clone()),
                RecordResult::Kept(columns) => kept(serial, row.clone(), before, columns),
                RecordResult::Skipped | RecordResult::Unidentified => before.cloned(),
            };
            if self.strict {
                outcomes.clear();
            }
            outcomes.push(outcome);
        }
        outcomes
    }
}

/// Null never erases a known value.
fn overlay(mut row: Value, before: Option<&Value>) -> Value {
    if let (Some(row), Some(before)) = (row.as_object_mut(), before) {
        for (column, value) in row.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = before[column].clone();
        }
    }
    row
}

/// The row with these columns unchanged. A new row has their defaults; without a position there is no row.
fn kept(serial: &str, mut row: Value, before: Option<&Value>, columns: &[&str]) -> Option<Value> {
    for column in columns {
        row[column] = match (before, *column) {
            (Some(before), column) => before[column].clone(),
            (None, "lat" | "lng") => return None,
            (None, "hostname") => json!(serial),
            (None, "device_status") => json!(0),
            (None, _) => Value::Null,
        };
    }
    Some(row)
}
