//! Pure: what a base station is, to the vendor ([`Station`]), to the table ([`Row`]) and to a plan ([`Change`]).
//!
//! Coordinates, heights and azimuths are kept as the whole numbers that their columns can hold, so that "the same"
//! means the same here and in PostgreSQL, and a seventh decimal is no change.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// A serial or a name. Up to 23 bytes lie in the value itself, so that those of a fleet cost no allocation each.
pub type Text = smol_str::SmolStr;

/// A point on the ground, in millionths of a degree: what `numeric(10,6)` keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Latitude × 1e6, south negative.
    pub lat_e6: i64,
    /// Longitude × 1e6, west negative.
    pub lng_e6: i64,
}

/// One base node as a listing tells it. `None` means that the vendor did not say: it never erases a known value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Station {
    /// Serial number, trimmed, not empty; otherwise opaque.
    pub serial: Text,
    /// `hostName`.
    pub hostname: Option<Text>,
    /// `ancestry.site.name`.
    pub site_name: Option<Text>,
    /// `ancestry.market.name`.
    pub market: Option<Arc<str>>,
    /// `ancestry.region.name`, else the name of the one region that was asked for.
    pub region: Option<Arc<str>>,
    /// `installParams.latitude` and `.longitude`; `None` where absent or 0/0, which means "not set".
    pub position: Option<Position>,
    /// `installParams.height` × 100: centimetres above mean sea level, within `numeric(8,2)`.
    pub height_cm: Option<i32>,
    /// `installParams.antennaAzimuth` modulo 360, × 100, within `numeric(5,2)`.
    pub azimuth_cdeg: Option<i32>,
    /// `band`.
    pub band: Option<Arc<str>>,
    /// `connected`: the live status.
    pub connected: Option<bool>,
    /// Connected remote nodes that this base node serves; `None` unless the connection counts them.
    pub active_connections: Option<i32>,
    /// `ancestry.region.id`.
    pub region_id: Option<i32>,
    /// `ancestry.market.id`.
    pub market_id: Option<i32>,
    /// `ancestry.site.id`.
    pub site_id: Option<i32>,
    /// `ancestry.cell.id`.
    pub cell_id: Option<i32>,
    /// `ancestry.sector.id`.
    pub sector_id: Option<i32>,
    /// `ancestry.cellDetails.name`.
    pub cell_name: Option<Text>,
    /// `ancestry.sectorDetails.name`.
    pub sector_name: Option<Text>,
}

/// A record, or a part of one, that could not be used, and why. Never holds more of the record than its serial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The record's serial, where it could be read.
    pub serial: Option<Text>,
    /// What was wrong, for a person: names the field.
    pub why: String,
}

/// The vendor's listings, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Listing {
    /// Region by region, with names and totals.
    #[default]
    RegionSearch,
    /// All of an operator's devices in one list.
    OperatorList,
    /// Region by region, without names, totals and remote nodes.
    RadioSearch,
}

impl Listing {
    /// All of them, best first.
    pub const ALL: [Self; 3] = [Self::RegionSearch, Self::OperatorList, Self::RadioSearch];

    /// The word in a spec, a status and a log row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegionSearch => "RegionSearch",
            Self::OperatorList => "OperatorList",
            Self::RadioSearch => "RadioSearch",
        }
    }

    /// The listing of that word; `None` for a word that is not ours.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|listing| listing.as_str() == word)
    }
}

impl std::fmt::Display for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a reading was proven complete. Only what was proven may call a station absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every row up to the list's own total came exactly once.
    Total,
    /// Two readings, one after the other, held the same serials.
    TwoReadings,
    /// It was not; says why, for a person.
    None(Box<str>),
}

impl Default for Proof {
    fn default() -> Self {
        Self::None("nobody proved it".into())
    }
}

impl Proof {
    /// The word in a status and a log row.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Total => "Total",
            Self::TwoReadings => "TwoReadings",
            Self::None(_) => "None",
        }
    }
}

/// One complete reading of the listing.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Which listing it was.
    pub listing: Listing,
    /// How it was proven that nothing is missing.
    pub proof: Proof,
    /// Why a better listing was not read, for a person; `None` where it was the best or the only one asked for, or
    /// where that was told before.
    pub instead: Option<String>,
    /// The usable records, one per serial.
    pub stations: Vec<Station>,
    /// The records that were skipped. Those with a serial are present all the same, and so never stale.
    pub skipped: Vec<Rejected>,
    /// Optional fields that were dropped, repeated serials that were decided: the record itself stays.
    pub notes: Vec<Rejected>,
    /// Ids of the regions that this reading covered.
    pub covered: BTreeSet<i32>,
}

impl Fetched {
    /// Base nodes in the listing, usable or not.
    pub fn len(&self) -> usize {
        self.stations.len() + self.skipped.len()
    }

    /// Whether the listing held no base node at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Serials of the records that were skipped: present, though not usable.
    pub fn skipped_serials(&self) -> HashSet<&str> {
        self.skipped.iter().filter_map(|r| r.serial.as_deref()).collect()
    }

    /// Records whose serial could not be read. While there are any, no station can be called absent.
    pub fn unidentified(&self) -> usize {
        self.skipped.iter().filter(|r| r.serial.is_none()).count()
    }
}

/// One row of `tarana_base_stations`: the columns that a sync reads and writes, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `serial_number text`, unique.
    pub serial: Text,
    /// `hostname text`.
    pub hostname: Text,
    /// `site_name text`.
    pub site_name: Text,
    /// `active_connections int`.
    pub active_connections: Option<i32>,
    /// `market text`.
    pub market: Option<Arc<str>>,
    /// `lat` and `lng`, `numeric(10,6)`.
    pub position: Position,
    /// `region text`.
    pub region: Option<Arc<str>>,
    /// `height_m numeric(8,2)`, in centimetres.
    pub height_cm: Option<i32>,
    /// `azimuth_deg numeric(5,2)`, in hundredths of a degree.
    pub azimuth_cdeg: Option<i32>,
    /// `band text`.
    pub band: Option<Arc<str>>,
    /// `device_status int`: 1 online, 0 offline.
    pub device_status: Option<i32>,
    /// `region_id int`.
    pub region_id: Option<i32>,
    /// `market_id int`.
    pub market_id: Option<i32>,
    /// `site_id int`.
    pub site_id: Option<i32>,
    /// `cell_id int`.
    pub cell_id: Option<i32>,
    /// `sector_id int`.
    pub sector_id: Option<i32>,
    /// `cell_name text`.
    pub cell_name: Option<Text>,
    /// `sector_name text`.
    pub sector_name: Option<Text>,
}

/// What a plan does to one row. `withheld` and dry-run changes are recorded too, as not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A station that the table does not have.
    Insert(Row),
    /// A station of which something differs.
    Update {
        /// The row as it is.
        before: Box<Row>,
        /// The row as it will be; the serial is the same.
        after: Box<Row>,
    },
    /// A station that the vendor no longer has, deleted.
    Delete(Row),
    /// A station that the vendor no longer has, kept because the delete guard withheld it.
    Withhold(Row),
}

/// What a run did, or would do. Honest: `updated` are rows that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Base nodes in the listing, usable or not.
    pub fetched: i64,
    /// New rows.
    pub inserted: i64,
    /// Rows of which something changed.
    pub updated: i64,
    /// Rows that were the same.
    pub unchanged: i64,
    /// Rows deleted.
    pub deleted: i64,
    /// Records that could not be used.
    pub skipped: i64,
    /// Stale rows that were kept because the delete guard withheld them.
    pub withheld: i64,
}

/// The difference between a reading and the table, ready to be written.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Which listing was read.
    pub listing: Listing,
    /// How it was proven complete.
    pub proof: Proof,
    /// Every row that differs, in the order inserts, updates, deletes or withheld.
    pub changes: Vec<Change>,
    /// The counts that belong to it.
    pub counts: Counts,
    /// Records skipped, by the reading or because a new row lacks what its columns require.
    pub skipped: Vec<Rejected>,
    /// Parts of records that were dropped.
    pub notes: Vec<Rejected>,
    /// Why stale rows were withheld, for a person; `None` where none were.
    pub withheld_because: Option<String>,
}
