//! Pure: the difference between the vendor's listing and the table.
//!
//! The store streams the rows of the table through a [`Planner`], which keeps only those that will change. Strings are moved
//! from the listing to the plan, not copied.
//!
//! Classification:
//!
//! | row or station | becomes | counted as |
//! |---|---|---|
//! | in the listing, not in the table | an insert | `inserted` |
//! | … but without a position, which a row requires | a skipped record | `skipped` |
//! | in both, something differs | an update | `updated` |
//! | in both, nothing differs | nothing | `unchanged` |
//! | in the table; its record was skipped | nothing: it is present | `skipped` (the record) |
//! | in the table only, of a covered region: **stale** | a delete, or withheld | `stale`, and `deleted` or `withheld` |
//! | … but the previous reading contained it | nothing | not at all: the listing changed while it was read |
//! | … but `deleteStale` is not set | nothing | `stale`, if the listing is proven complete |
//! | in the table only, of another region or none | nothing | not at all: the listing did not cover it |
//!
//! Invariant: `fetched = inserted + updated + unchanged + skipped`.

#[cfg(test)]
mod properties;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::station::{Change, Fetched, Listing, Plan, Proof, Rejected, Row, RunCounts, Station, Text};

/// Options of the run and the delete guard of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `spec.deleteStale`: delete rows that the vendor no longer lists.
    pub delete_stale: bool,
    /// `spec.approvedDeletes`: the number of deletes that a person approved.
    pub approved_deletes: Option<u32>,
    /// `deleteGuard.maxPercent` of the connection, of the rows of the table in covered regions.
    pub max_percent: u32,
    /// `deleteGuard.freeCount` of the connection: up to this many deletes are never withheld.
    pub free_count: u32,
}

/// Serials of the stale rows of a plan.
pub type Missed = BTreeSet<Text>;

/// Builds a plan. Requires that [`Fetched`] and the table contain each serial once.
#[derive(Debug)]
pub struct Planner {
    options: Options,
    /// Sorted by serial. Fields of a seen station may have been moved out, but its serial stays for the search.
    stations: Vec<Station>,
    /// Which of `stations` the table contains.
    seen: Vec<bool>,
    /// Sorted by serial.
    skipped: Vec<Rejected>,
    notes: Vec<Rejected>,
    covered: BTreeSet<i32>,
    listing: Listing,
    proof: Proof,
    unidentified: usize,
    /// Serials that the previous reading missed. If there was one, only these can be stale.
    missed: Option<Missed>,
    /// Number of rows of the table in covered regions, stale or not.
    covered_rows: usize,
    counts: RunCounts,
    /// Rows before and after. Boxed pairs instead of [`Change`]s, which are as large as a row: the final changes reuse the
    /// memory of `stations`.
    updates: Vec<(Box<Row>, Box<Row>)>,
    /// Those to delete or to withhold.
    stale: Vec<Row>,
}

impl Planner {
    /// Starts a plan from a listing.
    pub fn new(fetched: Fetched, options: Options) -> Self {
        let unidentified = fetched.unidentified();
        let counts = RunCounts {
            fetched: count(fetched.len()),
            ..RunCounts::default()
        };
        let Fetched {
            mut stations,
            mut skipped,
            notes,
            covered,
            listing,
            proof,
            fallback_reason: _,
        } = fetched;
        stations.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
        skipped.sort_by(|a, b| a.serial.cmp(&b.serial));
        Self {
            options,
            seen: vec![false; stations.len()],
            stations,
            skipped,
            notes,
            covered,
            listing,
            proof,
            unidentified,
            missed: None,
            covered_rows: 0,
            counts,
            updates: Vec::new(),
            stale: Vec::new(),
        }
    }

    /// Restricts stale rows to those that the previous reading missed as well.
    #[must_use]
    pub fn confirming(self, missed: Option<Missed>) -> Self {
        Self { missed, ..self }
    }

    /// The stale rows so far that are to be deleted.
    pub fn missed(&self) -> Missed {
        self.stale.iter().map(|row| row.serial.clone()).collect()
    }

    /// Adds a row of the table. Every row must be added, in any order.
    pub fn add_row(&mut self, row: Row) {
        let covered = row.region_id.is_some_and(|id| self.covered.contains(&id));
        self.covered_rows += usize::from(covered);
        if let Ok(at) = self.stations.binary_search_by(|s| s.serial.cmp(&row.serial)) {
            self.seen[at] = true;
            match row::overlay(row, &mut self.stations[at]) {
                Some(update) => self.updates.push(update),
                None => self.counts.unchanged += 1,
            }
        } else if covered && self.is_absent(&row.serial) {
            self.counts.stale += 1;
            if self.options.delete_stale {
                self.stale.push(row);
            }
        }
    }

    /// Completes the plan: stations that were not seen are new, and the stale rows are deleted or withheld together.
    pub fn finish(mut self) -> Plan {
        let withheld_because = self.withheld_because();
        let mut changes = self.inserts();
        self.counts.inserted = count(changes.len());
        self.counts.updated = count(self.updates.len());
        let updates = self.updates.into_iter();
        changes.extend(updates.map(|(before, after)| Change::Update { before, after }));
        let (stale_count, stale_change): (_, fn(Row) -> Change) = match withheld_because {
            Some(_) => (&mut self.counts.withheld, Change::Withhold),
            None => (&mut self.counts.deleted, Change::Delete),
        };
        *stale_count = count(self.stale.len());
        changes.extend(self.stale.into_iter().map(stale_change));
        // The allocation of the stations is kept only if it is mostly used.
        if changes.len() < changes.capacity() / 2 {
            changes.shrink_to_fit();
        }
        self.counts.skipped = count(self.skipped.len());
        if !self.options.delete_stale && (self.unidentified > 0 || matches!(self.proof, Proof::None(_))) {
            // No station can be called absent.
            self.counts.stale = 0;
        }
        Plan {
            listing: self.listing,
            proof: self.proof,
            changes,
            counts: self.counts,
            skipped: self.skipped,
            notes: self.notes,
            withheld_because,
        }
    }

    /// Whether the vendor no longer has this serial. A skipped record is present.
    fn is_absent(&self, serial: &str) -> bool {
        let skipped = self
            .skipped
            .binary_search_by(|r| r.serial.as_deref().cmp(&Some(serial)))
            .is_ok();
        !skipped && self.missed.as_ref().is_none_or(|missed| missed.contains(serial))
    }

    /// The stations that the table does not contain. Those without a position are skipped.
    fn inserts(&mut self) -> Vec<Change> {
        let fallbacks = row::Fallbacks::default();
        let stations = std::mem::take(&mut self.stations).into_iter().enumerate();
        // Source and target elements have the same size, so that `collect` reuses the allocation of the stations.
        stations
            .filter(|(at, _)| !self.seen[*at])
            .filter_map(|(_, station)| match fallbacks.row(station) {
                Ok(row) => Some(Change::Insert(row)),
                Err(rejected) => {
                    self.skipped.push(rejected);
                    None
                }
            })
            .collect()
    }

    /// Why the stale rows are withheld; `None` if they may be deleted or there are none.
    fn withheld_because(&self) -> Option<String> {
        let (stale, rows) = (self.stale.len(), self.covered_rows);
        let Options {
            approved_deletes,
            max_percent,
            free_count,
            ..
        } = self.options;
        if stale == 0 {
            return None;
        }
        if let Proof::None(why) = &self.proof {
            return Some(format!(
                "kept all {stale} stale rows: {} could not be proven complete ({why}), so no station can be called absent; \
                 name another listing in spec.api.listing of the connection, or delete these rows by hand",
                self.listing
            ));
        }
        if self.unidentified > 0 {
            let records = self.unidentified;
            return Some(format!(
                "kept all {stale} stale rows: {records} records of the listing have no readable serial number, so no \
                 station can be called absent; have these records corrected at the vendor, then sync again"
            ));
        }
        let free = stale <= widen(free_count)
            || stale.saturating_mul(100) <= rows.saturating_mul(widen(max_percent));
        if free || approved_deletes.is_some_and(|approved| stale <= widen(approved)) {
            return None;
        }
        let approved = approved_deletes.map_or(String::new(), |n| {
            format!(", and spec.approvedDeletes is only {n}")
        });
        Some(format!(
            "kept all {stale} stale rows of {rows} in the regions read: deleteGuard of the connection allows {free_count} rows or \
             {max_percent} % without an approval{approved}; if these stations are truly gone, approve their deletion on the \
             page of the sync, or create a TaranaSync with spec.deleteStale: true and spec.approvedDeletes: {stale}"
        ))
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
