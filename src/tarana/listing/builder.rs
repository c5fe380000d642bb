//! Pure: collects the records of one reading, keeps one per serial, and counts remote nodes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::device::{Base, Device, Remote};
use super::region::Region;
use crate::station::{Fetched, Rejected, Station, Text};

/// Most rows that are reserved for a total that the server reports.
const MAX_RESERVE: usize = 200_000;
/// Stations that fill more than 32 MiB. glibc returns a block of that size to the system when it is freed, but keeps smaller
/// ones. Reserved memory that is never written costs nothing.
const MMAP_STATIONS: usize = (33 << 20) / size_of::<Station>();
/// From this many stations on, a reservation is rounded up to [`MMAP_STATIONS`].
const ROUND_UP_FROM: usize = MMAP_STATIONS / 8;

/// When a record was last updated, and its position: list and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) updated: Option<i64>,
    pub(super) position: (usize, u64),
}

/// Serials that occur more than once in a reading, and how often.
pub(super) type Repeats = BTreeMap<Text, usize>;

/// The records of one reading.
#[derive(Debug, Default)]
pub(super) struct ListingBuilder {
    /// Remote nodes are counted.
    count_remotes: bool,
    stations: Vec<Station>,
    /// One for each of `stations`.
    stamps: Vec<Stamp>,
    remotes: Vec<(Remote, Stamp)>,
    /// Serials of devices that are not kept, and their lists. They count when readings are compared.
    other_serials: Vec<(Text, usize)>,
    /// Rejected records, and their lists.
    skipped: Vec<(Rejected, usize)>,
    /// Notes on records, and their lists.
    record_notes: Vec<(Rejected, usize)>,
    /// Notes on the reading itself.
    notes: Vec<Rejected>,
}

impl ListingBuilder {
    pub(super) fn new(count_remotes: bool) -> Self {
        Self {
            count_remotes,
            ..Self::default()
        }
    }

    /// Reserves memory for `rows` more rows.
    pub(super) fn reserve(&mut self, rows: u64) {
        let rows = usize::try_from(rows).unwrap_or(MAX_RESERVE).min(MAX_RESERVE);
        if rows > self.stations.len() / 8 {
            let all = self.stations.len() + rows;
            let capacity = if all > ROUND_UP_FROM {
                all.max(MMAP_STATIONS)
            } else {
                all
            };
            self.stations.reserve_exact(capacity - self.stations.len());
            self.stamps.reserve_exact(rows);
        } else {
            // Exact reservations would copy everything for each of many small regions.
            self.stations.reserve(rows);
            self.stamps.reserve(rows);
        }
    }

    /// Adds one row.
    pub(super) fn add(&mut self, device: Device, position: (usize, u64)) {
        let (list, _) = position;
        match device {
            Device::Base(base) => {
                let Base {
                    station,
                    notes,
                    updated,
                } = *base;
                self.stations.push(station);
                self.stamps.push(Stamp { updated, position });
                self.record_notes
                    .extend(notes.into_iter().map(|note| (note, list)));
            }
            Device::Remote(remote) if self.count_remotes => {
                let stamp = Stamp {
                    updated: remote.updated,
                    position,
                };
                self.remotes.push((remote, stamp));
            }
            // The server may return remote nodes that were not requested. Their serials show gaps as well.
            Device::Remote(remote) => {
                let serial = remote.serial.map(|serial| (serial, list));
                self.other_serials.extend(serial);
            }
            Device::OtherRegion(serial) => self.other_serials.push((serial, list)),
            Device::Rejected(rejected) => self.skipped.push((rejected, list)),
        }
    }

    /// Drops all rows of a list, which is read again.
    pub(super) fn remove_list(&mut self, list: usize) {
        let mut kept = self.stamps.iter().map(|stamp| stamp.position.0 != list);
        self.stations.retain(|_| kept.next().unwrap_or(true));
        self.stamps.retain(|stamp| stamp.position.0 != list);
        self.remotes.retain(|(_, stamp)| stamp.position.0 != list);
        self.other_serials.retain(|(_, of)| *of != list);
        self.skipped.retain(|(_, of)| *of != list);
        self.record_notes.retain(|(_, of)| *of != list);
    }

    /// Regions with at least one usable base node.
    pub(super) fn regions(&self) -> BTreeSet<i32> {
        self.stations.iter().filter_map(|s| s.region_id).collect()
    }

    /// Whether it has devices that were not requested.
    pub(super) fn has_other_regions(&self) -> bool {
        !self.other_serials.is_empty()
    }

    /// Adds a note on the reading itself.
    pub(super) fn add_note(&mut self, note: Rejected) {
        self.notes.push(note);
    }

    /// Every serial as often as it occurs, sorted.
    pub(super) fn serials(&self) -> Vec<&str> {
        let stations = self.stations.iter().map(|s| &*s.serial);
        let skipped = self.skipped.iter().filter_map(|(r, _)| r.serial.as_deref());
        let remotes = self.remotes.iter().filter_map(|(r, _)| r.serial.as_deref());
        let others = self.other_serials.iter().map(|(serial, _)| &**serial);
        let mut serials: Vec<&str> = stations.chain(skipped).chain(remotes).chain(others).collect();
        serials.sort_unstable();
        serials
    }

    /// The same as owned texts; drops the records.
    pub(super) fn into_serials(self) -> Vec<Text> {
        self.serials().into_iter().map(Text::from).collect()
    }

    /// The serials that occur more than once.
    pub(super) fn repeats(&self) -> Repeats {
        let serials = self.serials();
        let runs = serials.chunk_by(|a, b| a == b).filter(|run| run.len() > 1);
        runs.map(|run| (run[0].into(), run.len())).collect()
    }

    /// A station that is in the list of another region than its own: the region of the list, and its own. `lists` are the
    /// regions of the lists in order.
    pub(super) fn misplaced(&self, lists: &[Region]) -> Option<(i32, i32)> {
        let listed = self.stations.iter().zip(&self.stamps);
        listed
            .filter_map(|(station, stamp)| Some((lists.get(stamp.position.0)?.id, station.region_id?)))
            .find(|(requested, own)| requested != own)
    }

    /// Builds the result with one record per serial. `confirmed` are the repeats that a second reading confirmed.
    pub(super) fn build(mut self, confirmed: &Repeats, covered: BTreeSet<i32>) -> Fetched {
        if !confirmed.is_empty() {
            self.keep_newest(confirmed);
        }
        if self.count_remotes {
            self.count_connections();
        }
        let by_serial = |a: &Rejected, b: &Rejected| (&a.serial, &a.why).cmp(&(&b.serial, &b.why));
        let without_list = |(rejected, _): (Rejected, usize)| rejected;
        let mut skipped: Vec<_> = self.skipped.into_iter().map(without_list).collect();
        skipped.sort_by(by_serial);
        let mut notes = self.notes;
        notes.extend(self.record_notes.into_iter().map(without_list));
        notes.sort_by(by_serial);
        Fetched {
            stations: self.stations,
            skipped,
            notes,
            covered,
            ..Fetched::default()
        }
    }

    /// Keeps the newest record of a repeated serial, and prefers a usable one.
    fn keep_newest(&mut self, confirmed: &Repeats) {
        let usable: BTreeSet<Text> = self
            .stations
            .iter()
            .map(|s| s.serial.clone())
            .filter(|s| confirmed.contains_key(s))
            .collect();
        let stamped = self.stations.drain(..).zip(self.stamps.drain(..));
        (self.stations, self.stamps) = newest(stamped, confirmed, |s| Some(&s.serial))
            .into_iter()
            .unzip();
        self.remotes = newest(self.remotes.drain(..), confirmed, |r| r.serial.as_deref());
        let mut kept = BTreeSet::new();
        self.skipped.retain(|(r, _)| match &r.serial {
            Some(serial) if confirmed.contains_key(serial) => {
                !usable.contains(serial) && kept.insert(serial.clone())
            }
            _ => true,
        });
        let notes = confirmed.iter().map(|(serial, times)| Rejected {
            serial: Some(serial.clone()),
            why: format!(
                "the listing has it {times} times: the record with the newest lastUpdateTimeSeconds was taken"
            ),
        });
        self.notes.extend(notes);
    }

    fn count_connections(&mut self) {
        let mut served: HashMap<&str, i32> = HashMap::new();
        for master in self
            .remotes
            .iter()
            .filter_map(|(remote, _)| remote.served_by.as_deref())
        {
            *served.entry(master).or_default() += 1;
        }
        for station in &mut self.stations {
            station.active_connections = Some(served.get(&*station.serial).copied().unwrap_or_default());
        }
    }
}

/// Drops all but the newest record of each repeated serial; of equally new ones the first is kept.
fn newest<T>(
    records: impl Iterator<Item = (T, Stamp)>,
    confirmed: &Repeats,
    serial: impl Fn(&T) -> Option<&str>,
) -> Vec<(T, Stamp)> {
    let mut kept: Vec<(T, Stamp)> = Vec::with_capacity(records.size_hint().0);
    let mut best: HashMap<Text, usize> = HashMap::new();
    for (record, stamp) in records {
        let repeated = serial(&record)
            .and_then(|s| confirmed.get_key_value(s))
            .map(|(s, _)| s.clone());
        let index = repeated
            .map(|s| *best.entry(s).or_insert(kept.len()))
            .filter(|index| *index < kept.len());
        match index {
            None => kept.push((record, stamp)),
            Some(index) if rank(stamp) > rank(kept[index].1) => kept[index] = (record, stamp),
            Some(_) => {}
        }
    }
    kept
}

fn rank(stamp: Stamp) -> (Option<i64>, Reverse<(usize, u64)>) {
    (stamp.updated, Reverse(stamp.position))
}

#[cfg(test)]
mod tests;
