//! Pure: what the table must hold, kept beside it from run to run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::row::{self, Columns};
use crate::simulator::{Kind, Row};

/// One row that the table must have.
#[derive(Clone, Debug)]
struct Entry {
    /// The device's text that it was made from, if it says just that.
    raw: Option<Arc<str>>,
    text: Arc<str>,
    hash: i64,
}

/// Number of rows and sum of their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: i64,
    pub(super) sum: i128,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) inserted: i64,
    pub(super) updated: i64,
    pub(super) deleted: i64,
}

/// Every row that the table must have, by serial.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    rows: HashMap<Arc<str>, Entry>,
}

impl Ledger {
    /// What the table's digest must be.
    pub(super) fn digest(&self) -> Digest {
        Digest {
            rows: i64::try_from(self.rows.len()).unwrap_or(i64::MAX),
            sum: self.rows.values().map(|entry| i128::from(entry.hash)).sum(),
        }
    }

    pub(super) fn text(&self, serial: &str) -> Option<&str> {
        self.rows.get(serial).map(|entry| &*entry.text)
    }

    pub(super) fn columns(&self, serial: &str) -> Option<Columns> {
        self.text(serial).map(|text| row::parse(text).1)
    }

    pub(super) fn serials(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(|serial| &**serial)
    }

    /// Rows of stations that this fleet does not have.
    pub(super) fn stale(&self, fleet: &[Row]) -> Vec<Arc<str>> {
        let there: HashSet<&str> = base_nodes(fleet).map(|row| &*row.serial).collect();
        let gone = self.rows.keys().filter(|serial| !there.contains(&***serial));
        gone.cloned().collect()
    }

    /// Applies a run that was told the truth about this fleet.
    pub(super) fn apply(&mut self, fleet: &[Row], deletes: bool) -> Delta {
        let mut delta = Delta::default();
        for device in base_nodes(fleet) {
            let known = self.rows.get(&device.serial);
            if known.is_some_and(|entry| {
                entry
                    .raw
                    .as_ref()
                    .is_some_and(|raw| Arc::ptr_eq(raw, &device.raw))
            }) {
                continue;
            }
            let before = known.map(|entry| row::parse(&entry.text).1);
            let Some(after) = honest(device, before.as_ref()) else {
                continue;
            };
            let text = row::text(&device.serial, &after);
            match known {
                None => delta.inserted += 1,
                Some(entry) => delta.updated += i64::from(*entry.text != *text),
            }
            self.put(Arc::clone(&device.serial), &text, Some(Arc::clone(&device.raw)));
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

    fn put(&mut self, serial: Arc<str>, text: &str, raw: Option<Arc<str>>) {
        let entry = Entry {
            raw,
            hash: row::hash(text),
            text: text.into(),
        };
        self.rows.insert(serial, entry);
    }

    /// Serials of which the table has something else than it must.
    pub(super) fn differing(&self, found: &HashMap<String, String>) -> BTreeSet<String> {
        let theirs = found
            .iter()
            .filter(|(serial, text)| self.text(serial) != Some(text))
            .map(|(serial, _)| serial.clone());
        let ours = self.serials().filter(|serial| !found.contains_key(*serial));
        theirs.chain(ours.map(str::to_owned)).collect()
    }

    /// Takes the table's word for a row, so that the next run is judged by what is really there.
    pub(super) fn adopt(&mut self, serial: &str, found: Option<&str>) {
        match found {
            Some(text) => self.put(serial.into(), text, None),
            None => drop(self.rows.remove(serial)),
        }
    }
}

pub(super) fn base_nodes(fleet: &[Row]) -> impl Iterator<Item = &Row> {
    fleet.iter().filter(|row| row.kind == Kind::BaseNode)
}

/// The row of a device that was told of as it is.
pub(super) fn honest(device: &Row, before: Option<&Columns>) -> Option<Columns> {
    let value = device.value().ok()?;
    row::after(&device.serial, row::told(&value, device.region), before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{Config, Simulator};

    #[tokio::test]
    async fn it_follows_the_fleet() {
        let tcs = Simulator::start(Config::of(200)).await.unwrap();
        let mut ledger = Ledger::default();
        let first = ledger.apply(&tcs.truth(), true);
        assert!(
            first.inserted > 190 && first.updated == 0 && first.deleted == 0,
            "{first:?}"
        );
        let digest = ledger.digest();
        assert_eq!(ledger.apply(&tcs.truth(), true), Delta::default());
        assert_eq!(ledger.digest(), digest);

        let drift = tcs.drift(0.3);
        let kept = ledger.clone().apply(&tcs.truth(), false);
        let second = ledger.apply(&tcs.truth(), true);
        assert_eq!(kept.deleted, 0);
        assert!(
            second.updated > 30 && second.inserted >= 3 && second.deleted > 0,
            "{second:?}"
        );
        assert!(drift.removed.iter().all(|serial| ledger.text(serial).is_none()));
        assert_ne!(ledger.digest(), digest);
    }

    #[test]
    fn what_differs_is_named() {
        let mut ledger = Ledger::default();
        ledger.adopt("a", Some("a"));
        ledger.adopt("b", Some("b"));
        let found = HashMap::from([
            ("a".to_owned(), "other".to_owned()),
            ("c".to_owned(), "c".to_owned()),
        ]);
        let differing = ledger.differing(&found);
        assert_eq!(differing.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
