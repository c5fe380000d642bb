//! Pure: the responses for stations and their changes, and stations as CSV.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::{LastReading, StationChange, StationCounts, StationRow};

/// A base station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Station)]
#[serde(rename_all = "camelCase")]
pub struct StationResponse {
    pub serial: String,
    pub hostname: String,
    pub site_name: String,
    /// Whether the station is online.
    pub online: bool,
    /// Number of connected customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_connections: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
    /// Metres above sea level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height_m: Option<f64>,
    /// Degrees from north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azimuth_deg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_name: Option<String>,
    /// When a sync last changed the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Timestamp>,
}

impl From<StationRow> for StationResponse {
    fn from(row: StationRow) -> Self {
        Self {
            serial: row.serial,
            hostname: row.hostname,
            site_name: row.site_name,
            online: row.online,
            active_connections: row.active_connections,
            market: row.market,
            region: row.region,
            lat: row.lat,
            lng: row.lng,
            height_m: row.height_m,
            azimuth_deg: row.azimuth_deg,
            band: row.band,
            cell_name: row.cell_name,
            sector_name: row.sector_name,
            last_updated: row.last_updated,
        }
    }
}

/// A change of a station, applied or only planned.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeResponse {
    /// Number of the change in its run, from 1.
    pub seq: i32,
    /// Id of the run.
    pub run: Uuid,
    /// When the run was created.
    pub at: Timestamp,
    /// Serial number of the station.
    pub serial: String,
    /// `insert`, `update` or `delete`.
    pub op: String,
    /// Columns before the change, by their names in the table; for an update only those that differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// Columns after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// False for a dry run, and for a withheld delete.
    pub applied: bool,
}

impl From<StationChange> for ChangeResponse {
    fn from(change: StationChange) -> Self {
        Self {
            seq: change.seq,
            run: change.run,
            at: change.at,
            serial: change.serial,
            op: change.op,
            before: change.before,
            after: change.after,
            applied: change.applied,
        }
    }
}

/// Totals of a group of stations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counted)]
#[serde(rename_all = "camelCase")]
pub struct StationTotals {
    /// Number of stations.
    pub stations: i64,
    /// Number of stations that are online.
    pub online: i64,
    /// Number of connected customers.
    pub active_connections: i64,
    /// When a sync last changed one of the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<Timestamp>,
}

impl From<&StationCounts> for StationTotals {
    fn from(counts: &StationCounts) -> Self {
        Self {
            stations: counts.stations,
            online: counts.online,
            active_connections: counts.active_connections,
            last_updated: counts.last_updated,
        }
    }
}

/// How fresh the rows of a connection's table are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freshness {
    /// The stations are as the vendor listed them at this time or later: the start of the newest reading that a run of this connection
    /// wrote to the table, by the database's clock. Dry runs do not count. Runs that skipped records or withheld deletions do: the
    /// rows of these stations are older, and the errors and changes of the run name them. Rows that another connection keeps in the
    /// same table are not covered. `null` if no run of this connection has completed.
    pub true_as_of: Option<Timestamp>,
    /// Id of that run.
    true_as_of_sync: Option<Uuid>,
}

impl From<Option<LastReading>> for Freshness {
    fn from(reading: Option<LastReading>) -> Self {
        Self {
            true_as_of: reading.map(|reading| reading.began_at),
            true_as_of_sync: reading.map(|reading| reading.run),
        }
    }
}

/// A page of stations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stations)]
pub struct StationPage {
    pub items: Vec<StationResponse>,
    /// Number of stations on all pages.
    pub total: i64,
    #[serde(flatten)]
    pub freshness: Freshness,
}

/// A station and its history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Told)]
pub struct StationDetail {
    /// Absent if the row is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<StationResponse>,
    /// The newest 100 changes by the newest 500 runs, applied or only planned, newest first.
    pub changes: Vec<ChangeResponse>,
    #[serde(flatten)]
    pub freshness: Freshness,
}

/// Totals of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Summary)]
pub struct StationSummary {
    /// All stations.
    pub all: StationTotals,
    /// By market, largest first.
    pub markets: Vec<MarketTotals>,
    #[serde(flatten)]
    pub freshness: Freshness,
}

/// Totals of a market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Market)]
pub struct MarketTotals {
    /// Name of the market; empty for stations without one.
    pub market: String,
    #[serde(flatten)]
    pub totals: StationTotals,
}

impl StationSummary {
    /// The totals in these counts, of which the one without a market is the grand total.
    pub fn new(counts: &[StationCounts], freshness: Freshness) -> Self {
        let all = counts.iter().find(|counts| counts.market.is_none());
        let markets = counts.iter().filter_map(|counts| {
            Some(MarketTotals {
                market: counts.market.clone()?,
                totals: StationTotals::from(counts),
            })
        });
        Self {
            all: all.map(StationTotals::from).unwrap_or_default(),
            markets: markets.collect(),
            freshness,
        }
    }
}

/// Longitude and latitude, unless they are 0/0, which means that they are not set, or not a position on earth.
pub fn position(row: &StationRow) -> Option<[f64; 2]> {
    let is_position = (-180.0..=180.0).contains(&row.lng) && (-90.0..=90.0).contains(&row.lat);
    let is_unset = row.lng.abs() + row.lat.abs() < f64::EPSILON;
    (is_position && !is_unset).then_some([row.lng, row.lat])
}

/// Header line of the CSV.
pub const CSV_HEADER: &str = "serial,hostname,site_name,online,active_connections,market,region,lat,lng,height_m,azimuth_deg,band,cell_name,sector_name,last_updated\r\n";

/// A station as a line of CSV (RFC 4180).
pub fn csv_line(row: &StationRow) -> String {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.as_deref().map(csv_field).unwrap_or_default();
    let fields = [
        csv_field(&row.serial),
        csv_field(&row.hostname),
        csv_field(&row.site_name),
        row.online.to_string(),
        row.active_connections.map(|n| n.to_string()).unwrap_or_default(),
        text(&row.market),
        text(&row.region),
        row.lat.to_string(),
        row.lng.to_string(),
        number(row.height_m),
        number(row.azimuth_deg),
        text(&row.band),
        text(&row.cell_name),
        text(&row.sector_name),
        row.last_updated.map(|t| t.to_string()).unwrap_or_default(),
    ];
    let mut line = fields.join(",");
    line.push_str("\r\n");
    line
}

/// Text as a quoted field. A spreadsheet would execute text that starts with one of these characters as a formula; a leading
/// apostrophe prevents that.
fn csv_field(text: &str) -> String {
    let is_formula =
        text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::csv_field;

    #[test]
    fn fields_are_quoted_and_formulas_are_escaped() {
        let cases = [
            ("Hill 7", "Hill 7"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            (" @SUM(A1)", "\"' @SUM(A1)\""),
            ("-2+3", "\"'-2+3\""),
            ("+1", "\"'+1\""),
            ("\t=1", "\"'\t=1\""),
            ("two\nlines", "\"two\nlines\""),
            ("<script>", "<script>"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(csv_field(text), expected, "{text:?}");
        }
    }
}
