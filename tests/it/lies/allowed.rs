//! Pure: what may stand in the table after a completed run, station by station.

use std::collections::{BTreeMap, BTreeSet};

use devenv::simulator::Row;
use serde_json::{Value, json};

use super::table::{Fate, fate};
use crate::truth;

/// What a run was told, and what it started from.
pub struct Told<'a> {
    /// The table before.
    pub before: &'a BTreeMap<String, Value>,
    /// The fleet at each moment of the run.
    pub fleets: &'a [Vec<Row>],
    /// What was wrong with which stations' records.
    pub fates: &'a BTreeMap<String, BTreeSet<Spoilt>>,
    /// Nothing may be called absent: not asked for, withheld, or not to be known.
    pub keeps_stale: bool,
    /// A spoilt record shows; else it may, since another attempt may have been told the truth.
    pub strict: bool,
}

/// A blemish, or text that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spoilt {
    By(devenv::simulator::Blemish),
    Latin1,
}

impl Spoilt {
    fn fate(self) -> Fate {
        match self {
            Self::By(blemish) => fate(blemish),
            Self::Latin1 => Fate::Skipped,
        }
    }
}

impl Told<'_> {
    /// Every serial that the table may hold.
    pub fn serials(&self) -> BTreeSet<String> {
        let known = self.before.keys().cloned();
        let listed = self.fleets.iter().flatten().map(|row| row.serial.to_string());
        known.chain(listed).collect()
    }

    /// The rows that this station may have now; `None` is no row.
    pub fn allowed(&self, serial: &str) -> Vec<Option<Value>> {
        let before = self.before.get(serial);
        let mut allowed = Vec::new();
        if self.fleets.len() > 1 {
            // It may have slipped between two pages: then it is as if nobody had asked about it, and never gone.
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

    /// What a station that is listed comes to.
    fn listed(&self, serial: &str, row: &Row, before: Option<&Value>) -> Vec<Option<Value>> {
        let Some((_, truth)) = truth::row(&row.value().unwrap(), row.region) else {
            // Without a position there is nothing to insert; a row that is there keeps its own, and no test changes the rest.
            return vec![before.cloned()];
        };
        let told = overlay(truth, before);
        let mut outcomes = vec![Some(told.clone())];
        for spoilt in self.fates.get(serial).into_iter().flatten() {
            let spoilt = match spoilt.fate() {
                Fate::Exact => Some(told.clone()),
                Fate::Kept(columns) => kept(serial, told.clone(), before, columns),
                Fate::Skipped | Fate::Unidentified => before.cloned(),
            };
            if self.strict {
                outcomes.clear();
            }
            outcomes.push(spoilt);
        }
        outcomes
    }
}

/// Null never erases a known value.
fn overlay(mut truth: Value, before: Option<&Value>) -> Value {
    if let (Some(truth), Some(before)) = (truth.as_object_mut(), before) {
        for (column, value) in truth.iter_mut().filter(|(_, value)| value.is_null()) {
            *value = before[column].clone();
        }
    }
    truth
}

/// The row with some columns as they were; a new row has what its columns have by default, or there is none.
fn kept(serial: &str, mut told: Value, before: Option<&Value>, columns: &[&str]) -> Option<Value> {
    for column in columns {
        told[column] = match (before, *column) {
            (Some(before), column) => before[column].clone(),
            (None, "lat" | "lng") => return None,
            (None, "hostname") => json!(serial),
            (None, "device_status") => json!(0),
            (None, _) => Value::Null,
        };
    }
    Some(told)
}
