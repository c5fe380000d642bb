//! Pure: a station as it is shown, and what happened to it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::{Happened, Listed, Tally};

/// A base station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Station {
    serial: String,
    hostname: String,
    site_name: String,
    /// Whether it is online.
    online: bool,
    /// Customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_connections: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// Degrees north.
    lat: f64,
    /// Degrees east.
    lng: f64,
    /// Metres above the sea.
    #[serde(skip_serializing_if = "Option::is_none")]
    height_m: Option<f64>,
    /// Degrees from north.
    #[serde(skip_serializing_if = "Option::is_none")]
    azimuth_deg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    band: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sector_name: Option<String>,
    /// When a sync changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<Timestamp>,
}

impl From<Listed> for Station {
    fn from(row: Listed) -> Self {
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

/// What a run did to a station, or would have done.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// Number of the change in its run, from 1.
    pub seq: i32,
    /// Id of the run.
    run: Uuid,
    /// When the run was created.
    at: Timestamp,
    serial: String,
    /// `insert`, `update` or `delete`.
    op: String,
    /// The columns before, by their names in the table; of an update those that differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The columns after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// False for a dry run, and for a delete that was withheld.
    applied: bool,
}

impl From<Happened> for Change {
    fn from(change: Happened) -> Self {
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

/// Counts of stations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// All.
    stations: i64,
    /// Those that are online.
    online: i64,
    /// Their customers.
    active_connections: i64,
    /// When a sync changed one last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated: Option<Timestamp>,
}

impl From<&Tally> for Counted {
    fn from(tally: &Tally) -> Self {
        Self {
            stations: tally.stations,
            online: tally.online,
            active_connections: tally.active_connections,
            last_updated: tally.last_updated,
        }
    }
}

/// Names of the columns of [`line`].
pub const HEAD: &str = "serial,hostname,site_name,online,active_connections,market,region,lat,lng,height_m,azimuth_deg,band,cell_name,sector_name,last_updated\r\n";

/// A line of CSV (RFC 4180).
pub fn line(row: &Listed) -> String {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let some = |text: &Option<String>| text.as_deref().map(cell).unwrap_or_default();
    let fields = [
        cell(&row.serial),
        cell(&row.hostname),
        cell(&row.site_name),
        row.online.to_string(),
        row.active_connections.map(|n| n.to_string()).unwrap_or_default(),
        some(&row.market),
        some(&row.region),
        row.lat.to_string(),
        row.lng.to_string(),
        number(row.height_m),
        number(row.azimuth_deg),
        some(&row.band),
        some(&row.cell_name),
        some(&row.sector_name),
        row.last_updated.map(|t| t.to_string()).unwrap_or_default(),
    ];
    let mut line = fields.join(",");
    line.push_str("\r\n");
    line
}

/// Text in a cell. A spreadsheet takes what begins with one of these for a formula, and runs it; after an apostrophe it is text.
fn cell(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    if formula || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_text_and_nothing_else() {
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
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
