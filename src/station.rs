//! Pure: base stations as the vendor lists them ([`Station`]), as the table stores them ([`Row`]) and as a plan changes them
//! ([`Change`]).
//!
//! Coordinates, heights and azimuths are integers in the precision of their columns, so that equality here is equality in
//! PostgreSQL, and a seventh decimal is no change.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

mod interner;

pub use self::interner::Interner;

/// A serial or a name. Up to 23 bytes are stored inline, without an allocation.
pub type Text = smol_str::SmolStr;

/// The site name of a new row whose site is not known.
pub const UNKNOWN_SITE: &str = "Unknown Site";

/// Coordinates in millionths of a degree, the precision of `numeric(10,6)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Latitude × 1e6, south negative.
    pub lat_e6: i64,
    /// Longitude × 1e6, west negative.
    pub lng_e6: i64,
}

/// One base node of a listing. `None` means that the field is absent; it never erases a stored value.
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
    /// `ancestry.region.name`, or else the name of the requested region.
    pub region: Option<Arc<str>>,
    /// `installParams.latitude` and `.longitude`; `None` if absent or 0/0, which means "not set".
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

/// A record, or a part of one, that was rejected. It contains nothing of the record but its serial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Serial of the record, if it could be read.
    pub serial: Option<Text>,
    /// What was wrong with which field, for users.
    pub why: String,
}

/// The vendor's listings, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Listing {
    /// Region by region, with names and totals.
    #[default]
    RegionSearch,
    /// All devices of an operator in one list.
    OperatorList,
    /// Region by region, without names, totals and remote nodes.
    RadioSearch,
}

impl Listing {
    /// All listings, best first.
    pub const ALL: [Self; 3] = [Self::RegionSearch, Self::OperatorList, Self::RadioSearch];

    /// The name in a spec, a status and a log row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegionSearch => "RegionSearch",
            Self::OperatorList => "OperatorList",
            Self::RadioSearch => "RadioSearch",
        }
    }

    /// The listing of that name; `None` for an unknown name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|listing| listing.as_str() == name)
    }
}

impl std::fmt::Display for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a reading was proven complete. Only a proven reading makes stations stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The listing returned exactly as many rows as its total, each once.
    Total,
    /// Two consecutive readings had the same serials.
    TwoReadings,
    /// There is no proof. The text says why, for users.
    None(Box<str>),
}

impl Default for Proof {
    fn default() -> Self {
        Self::None("nobody proved it".into())
    }
}

impl Proof {
    /// The name in a status and a log row.
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
    /// How the reading was proven complete.
    pub proof: Proof,
    /// Why a better listing was not read, for users; `None` if this is the best or the configured one, or if the reason was
    /// already reported.
    pub fallback_reason: Option<String>,
    /// The usable records, one per serial.
    pub stations: Vec<Station>,
    /// The skipped records. One with a serial is present, so its row is not stale.
    pub skipped: Vec<Rejected>,
    /// Optional fields that were dropped and repeated serials that were resolved. Their records are kept.
    pub notes: Vec<Rejected>,
    /// Ids of the regions that were read.
    pub covered: BTreeSet<i32>,
}

impl Fetched {
    /// Base nodes in the listing, usable or not.
    pub fn len(&self) -> usize {
        self.stations.len() + self.skipped.len()
    }

    /// Whether the listing contained no base node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Serials of the skipped records, which are present although unusable.
    pub fn skipped_serials(&self) -> HashSet<&str> {
        self.skipped.iter().filter_map(|r| r.serial.as_deref()).collect()
    }

    /// Number of records without a readable serial. If there are any, no row is stale.
    pub fn unidentified(&self) -> usize {
        self.skipped.iter().filter(|r| r.serial.is_none()).count()
    }
}

/// One row of `tarana_base_stations`: the columns that a sync reads and writes.
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

/// A planned change of one row. Withheld and dry-run changes are recorded too, as not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new station.
    Insert(Row),
    /// A station that differs.
    Update {
        /// The row before the update.
        before: Box<Row>,
        /// The row after the update, with the same serial.
        after: Box<Row>,
    },
    /// A stale station, deleted.
    Delete(Row),
    /// A stale station, kept by the delete guard.
    Withhold(Row),
}

/// What a run changed or would change. `updated` counts only rows that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Base nodes in the listing, usable or not.
    pub fetched: i64,
    /// Rows inserted.
    pub inserted: i64,
    /// Rows updated.
    pub updated: i64,
    /// Rows that did not differ.
    pub unchanged: i64,
    /// Rows deleted.
    pub deleted: i64,
    /// Records that were skipped as unusable.
    pub skipped: i64,
    /// Stale rows that the delete guard kept.
    pub withheld: i64,
    /// Stale rows: deleted, withheld, or kept because the run does not delete. A run that does not delete finds them by one reading, if
    /// that is proven complete.
    pub stale: i64,
}

impl RunCounts {
    /// Stale rows that were neither deleted nor withheld.
    pub fn kept_stale(&self) -> i64 {
        (self.stale - self.deleted - self.withheld).max(0)
    }
}

/// The difference between a reading and the table.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Which listing was read.
    pub listing: Listing,
    /// How the reading was proven complete.
    pub proof: Proof,
    /// All changes, ordered as inserts, updates, deletes and withheld deletes.
    pub changes: Vec<Change>,
    /// The counts.
    pub counts: RunCounts,
    /// Records that were skipped, while reading or because a new row lacks a required column.
    pub skipped: Vec<Rejected>,
    /// Parts of records that were dropped.
    pub notes: Vec<Rejected>,
    /// Why deletes were withheld, for users; `None` if none were.
    pub withheld_because: Option<String>,
}
