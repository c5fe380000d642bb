//! Pure: the expected content of the table, maintained from run to run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::row::{self, Columns};
use crate::simulator::{Device, DeviceKind};

/// An expected row.
#[derive(Clone, Debug)]
struct ExpectedRow {
    /// The device's JSON from which the row was computed, if any.
    raw: Option<Arc<str>>,
    text: Arc<str>,
    hash: i64,
}

/// The number of rows and the sum of their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableDigest {
    pub(super) rows: i64,
    pub(super) sum: i128,
}

/// The number of rows that a run changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowChanges {
    pub(super) inserted: i64,
    pub(super) updated: i64,
    pub(super) deleted: i64,
}

/// Every expected row, by serial.
#[derive(Clone, Debug, Default)]
pub(super) struct ExpectedTable {
    rows: HashMap<Arc<str>, ExpectedRow>,
}

impl ExpectedTable {
    /// The expected digest of the table.
    pub(super) fn digest(&self) -> TableDigest {
        TableDigest {
            rows: i64::try_from(self.rows.len()).unwrap_or(i64::MAX),
            sum: self.rows.values().map(|row| i128::from(row.hash)).sum(),
        }
    }

    pub(super) fn text(&self, serial: &str) -> Option<&str> {
        self.rows.get(serial).map(|row| &*row.text)
    }

    pub(super) fn columns(&self, serial: &str) -> Option<Columns> {
        self.text(serial).map(|text| row::parse(text).1)
    }

    pub(super) fn serials(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(|serial| &**serial)
    }

    /// The serials of rows whose device is not in this fleet.
    pub(super) fn stale(&self, fleet: &[Device]) -> Vec<Arc<str>> {
        let there: HashSet<&str> = base_nodes(fleet).map(|row| &*row.serial).collect();
        let gone = self.rows.keys().filter(|serial| !there.contains(&***serial));
        gone.cloned().collect()
    }

    /// Applies a run that received correct data of this fleet.
    pub(super) fn apply(&mut self, fleet: &[Device], deletes: bool) -> RowChanges {
        let mut delta = RowChanges::default();
        for device in base_nodes(fleet) {
            let known = self.rows.get(&device.serial);
            if known.is_some_and(|row| row.raw.as_ref().is_some_and(|raw| Arc::ptr_eq(raw, &device.raw))) {
                continue;
            }
            let before = known.map(|row| row::parse(&row.text).1);
            let Some(after) = expected_columns(device, before.as_ref()) else {
                continue;
            };
            let text = row::text(&device.serial, &after);
            match known {
                None => delta.inserted += 1,
                Some(row) => delta.updated += i64::from(*row.text != *text),
            }
            self.insert(Arc::clone(&device.serial), &text, Some(Arc::clone(&device.raw)));
        }
        if deletes {
            let gone = self.stale(fleet);
            delta.deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
            for serial in gone {
                self.rows.remove(&serial);
            }
        }
        delta
    }

    fn insert(&mut self, serial: Arc<str>, text: &str, raw: Option<Arc<str>>) {
        let row = ExpectedRow {
            raw,
            hash: row::hash(text),
            text: text.into(),
        };
        self.rows.insert(serial, row);
    }

    /// The serials of rows that differ from the expected ones.
    pub(super) fn differing(&self, found: &HashMap<String, String>) -> BTreeSet<String> {
        let theirs = found
            .iter()
            .filter(|(serial, text)| self.text(serial) != Some(text))
            .map(|(serial, _)| serial.clone());
        let ours = self.serials().filter(|serial| !found.contains_key(*serial));
        theirs.chain(ours.map(str::to_owned)).collect()
    }

    /// Accepts a found row as the expected one, so that the next run is compared with the real state.
    pub(super) fn accept(&mut self, serial: &str, found: Option<&str>) {
        match found {
            Some(text) => self.insert(serial.into(), text, None),
            None => drop(self.rows.remove(serial)),
        }
    }
}

pub(super) fn base_nodes(fleet: &[Device]) -> impl Iterator<Item = &Device> {
    fleet.iter().filter(|row| row.kind == DeviceKind::BaseNode)
}

/// The row of a device whose record was delivered intact.
pub(super) fn expected_columns(device: &Device, before: Option<&Columns>) -> Option<Columns> {
    let value = device.value().ok()?;
    row::merge_row(
        &device.serial,
        row::reported_columns(&value, device.region),
        before,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Config, Simulator};

    #[tokio::test]
    async fn apply_follows_the_fleet() {
        let tcs = Simulator::start(Config::with_base_nodes(200)).await.unwrap();
        let mut expected = ExpectedTable::default();
        let first = expected.apply(&tcs.devices(), true);
        assert!(
            first.inserted > 190 && first.updated == 0 && first.deleted == 0,
            "{first:?}"
        );
        let digest = expected.digest();
        assert_eq!(expected.apply(&tcs.devices(), true), RowChanges::default());
        assert_eq!(expected.digest(), digest);

        let drift = tcs.drift(0.3);
        let kept = expected.clone().apply(&tcs.devices(), false);
        let second = expected.apply(&tcs.devices(), true);
        assert_eq!(kept.deleted, 0);
        assert!(
            second.updated > 30 && second.inserted >= 3 && second.deleted > 0,
            "{second:?}"
        );
        assert!(drift.removed.iter().all(|serial| expected.text(serial).is_none()));
        assert_ne!(expected.digest(), digest);
    }

    #[test]
    fn differing_returns_changed_missing_and_extra_rows() {
        let mut expected = ExpectedTable::default();
        expected.accept("a", Some("a"));
        expected.accept("b", Some("b"));
        let found = HashMap::from([
            ("a".to_owned(), "other".to_owned()),
            ("c".to_owned(), "c".to_owned()),
        ]);
        let differing = expected.differing(&found);
        assert_eq!(differing.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
