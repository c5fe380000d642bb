//! Pure: the records of one reading, brought together: one per serial, remote nodes counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::device::{Base, Device, Remote};
use super::regions::Region;
use crate::station::{Fetched, Rejected, Station, Text};

/// No more room than this is made on a server's word.
const MAX_RESERVE: usize = 200_000;
/// Stations of more than 32 MiB. glibc gives a block of that size back to the system once it is free; after it had to free
/// one below, it carves all later ones out of memory that it keeps. Room that is never touched takes no memory.
const GIVEN_BACK: usize = (33 << 20) / size_of::<Station>();
/// Fewer stations than this are not worth it.
const MANY: usize = GIVEN_BACK / 8;

/// How new a record says it is, and where it stood: part and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) updated: Option<i64>,
    pub(super) at: (usize, u64),
}

/// Serials that a reading named more than once, and how often.
pub(super) type Repeats = BTreeMap<Text, usize>;

/// Everything that one reading held.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Remote nodes are wanted.
    count_remotes: bool,
    stations: Vec<Station>,
    /// Beside `stations`, one for one.
    stamps: Vec<Stamp>,
    remotes: Vec<(Remote, Stamp)>,
    /// Base nodes of regions that are not read: they count where rows are compared.
    elsewhere: Vec<Text>,
    skipped: Vec<Rejected>,
    notes: Vec<Rejected>,
}

impl Gathering {
    pub(super) fn new(count_remotes: bool) -> Self {
        Self {
            count_remotes,
            ..Self::default()
        }
    }

    /// Makes room for what is still to come.
    pub(super) fn reserve(&mut self, rows: u64) {
        let rows = usize::try_from(rows).unwrap_or(MAX_RESERVE).min(MAX_RESERVE);
        if rows > self.stations.len() / 8 {
            let all = self.stations.len() + rows;
            let room = if all > MANY { all.max(GIVEN_BACK) } else { all };
            self.stations.reserve_exact(room - self.stations.len());
            self.stamps.reserve_exact(rows);
        } else {
            // Exactly so many each time would be a copy of everything for each of many small regions.
            self.stations.reserve(rows);
            self.stamps.reserve(rows);
        }
    }

    /// Takes one row.
    pub(super) fn add(&mut self, device: Device, at: (usize, u64)) {
        match device {
            Device::Base(base) => {
                let Base {
                    station,
                    notes,
                    updated,
                } = *base;
                self.stations.push(station);
                self.stamps.push(Stamp { updated, at });
                self.notes.extend(notes);
            }
            Device::Remote(remote) if self.count_remotes => {
                let stamp = Stamp {
                    updated: remote.updated,
                    at,
                };
                self.remotes.push((remote, stamp));
            }
            // The server was asked to leave these out, and need not have; then their serials tell of holes like others.
            Device::Remote(remote) => self.elsewhere.extend(remote.serial),
            Device::Elsewhere(serial) => self.elsewhere.push(serial),
            Device::Rejected(rejected) => self.skipped.push(rejected),
        }
    }

    /// Regions of which there is at least one usable base node.
    pub(super) fn regions(&self) -> BTreeSet<i32> {
        self.stations.iter().filter_map(|s| s.region_id).collect()
    }

    /// Whether it holds devices that nobody asked for.
    pub(super) fn has_others(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// Adds what is to be said of the reading itself.
    pub(super) fn note(&mut self, note: Rejected) {
        self.notes.push(note);
    }

    /// Every serial, as often as it came, in order.
    pub(super) fn serials(&self) -> Vec<&str> {
        let stations = self.stations.iter().map(|s| &*s.serial);
        let skipped = self.skipped.iter().filter_map(|r| r.serial.as_deref());
        let remotes = self.remotes.iter().filter_map(|(r, _)| r.serial.as_deref());
        let elsewhere = self.elsewhere.iter().map(|serial| &**serial);
        let mut serials: Vec<&str> = stations.chain(skipped).chain(remotes).chain(elsewhere).collect();
        serials.sort_unstable();
        serials
    }

    /// The same, kept while the rest is let go.
    pub(super) fn into_serials(self) -> Vec<Text> {
        self.serials().into_iter().map(Text::from).collect()
    }

    /// The serials that came more than once.
    pub(super) fn repeats(&self) -> Repeats {
        let serials = self.serials();
        let runs = serials.chunk_by(|a, b| a == b).filter(|run| run.len() > 1);
        runs.map(|run| (run[0].into(), run.len())).collect()
    }

    /// A station that says it is of another region than the one whose listing it is in: that region, and its own.
    /// `parts` are the regions that were asked for, part by part.
    pub(super) fn stray(&self, parts: &[Region]) -> Option<(i32, i32)> {
        let listed = self.stations.iter().zip(&self.stamps);
        listed
            .filter_map(|(station, stamp)| Some((parts.get(stamp.at.0)?.id, station.region_id?)))
            .find(|(asked, own)| asked != own)
    }

    /// One record per serial. `meant` are the repeats that the vendor was seen to mean.
    pub(super) fn settle(mut self, meant: &Repeats, covered: BTreeSet<i32>) -> Fetched {
        if !meant.is_empty() {
            self.decide(meant);
        }
        if self.count_remotes {
            self.count();
        }
        self.skipped
            .sort_by(|a, b| (&a.serial, &a.why).cmp(&(&b.serial, &b.why)));
        self.notes
            .sort_by(|a, b| (&a.serial, &a.why).cmp(&(&b.serial, &b.why)));
        Fetched {
            stations: self.stations,
            skipped: self.skipped,
            notes: self.notes,
            covered,
            ..Fetched::default()
        }
    }

    /// Of a repeated serial the newest record stays; a usable one before one that is not.
    fn decide(&mut self, meant: &Repeats) {
        let usable: BTreeSet<Text> = self
            .stations
            .iter()
            .map(|s| s.serial.clone())
            .filter(|s| meant.contains_key(s))
            .collect();
        let stamped = self.stations.drain(..).zip(self.stamps.drain(..));
        (self.stations, self.stamps) = newest(stamped, meant, |s| Some(&s.serial)).into_iter().unzip();
        self.remotes = newest(self.remotes.drain(..), meant, |r| r.serial.as_deref());
        let mut kept = BTreeSet::new();
        self.skipped.retain(|r| match &r.serial {
            Some(serial) if meant.contains_key(serial) => {
                !usable.contains(serial) && kept.insert(serial.clone())
            }
            _ => true,
        });
        let notes = meant.iter().map(|(serial, times)| Rejected {
            serial: Some(serial.clone()),
            why: format!("the listing names it {times} times: the record with the newest lastUpdateTimeSeconds was taken"),
        });
        self.notes.extend(notes);
    }

    fn count(&mut self) {
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

/// Leaves out all but the newest of those that are repeated; of equally new ones the first stays.
fn newest<T>(
    records: impl Iterator<Item = (T, Stamp)>,
    meant: &Repeats,
    serial: impl Fn(&T) -> Option<&str>,
) -> Vec<(T, Stamp)> {
    let mut kept: Vec<(T, Stamp)> = Vec::with_capacity(records.size_hint().0);
    let mut best: HashMap<Text, usize> = HashMap::new();
    for (record, stamp) in records {
        let repeated = serial(&record)
            .and_then(|s| meant.get_key_value(s))
            .map(|(s, _)| s.clone());
        let place = repeated
            .map(|s| *best.entry(s).or_insert(kept.len()))
            .filter(|place| *place < kept.len());
        match place {
            None => kept.push((record, stamp)),
            Some(place) if rank(stamp) > rank(kept[place].1) => kept[place] = (record, stamp),
            Some(_) => {}
        }
    }
    kept
}

fn rank(stamp: Stamp) -> (Option<i64>, Reverse<(usize, u64)>) {
    (stamp.updated, Reverse(stamp.at))
}

#[cfg(test)]
mod tests;
