//! Pure: maps a device to its expected row.
//!
//! The mapping is independent of the operator's. A rule that both misread in the same way goes unnoticed.

use ring::digest::{SHA256, digest};
use serde_json::Value;

/// The compared columns: all that a sync writes, except its timestamp.
pub(super) const COLUMNS: [&str; 18] = [
    "hostname",
    "site_name",
    "market",
    "region",
    "lat",
    "lng",
    "height_m",
    "azimuth_deg",
    "band",
    "device_status",
    "region_id",
    "market_id",
    "site_id",
    "cell_id",
    "sector_id",
    "cell_name",
    "sector_name",
    "active_connections",
];

/// The separator between the columns of a row's text, and the text for null. No name in the fleet contains them.
const SEPARATOR: char = '\u{1f}';
const NULL: &str = "\u{1e}";

/// The columns of a row as PostgreSQL prints them; `None` is null.
pub(super) type Columns = [Option<String>; COLUMNS.len()];

/// The SQL expression for a row's text; it must match [`text`].
pub(super) fn expression() -> String {
    let columns = COLUMNS.map(|column| format!("coalesce({column}::text, chr(30))"));
    format!("concat_ws(chr(31), serial_number, {})", columns.join(", "))
}

pub(super) fn text(serial: &str, columns: &Columns) -> String {
    let mut text = serial.to_owned();
    for column in columns {
        text.push(SEPARATOR);
        text.push_str(column.as_deref().unwrap_or(NULL));
    }
    text
}

/// Parses a row's text into serial and columns. Missing columns are null.
pub(super) fn parse(text: &str) -> (&str, Columns) {
    let mut parts = text.split(SEPARATOR);
    let serial = parts.next().unwrap_or_default();
    let columns = std::array::from_fn(|_| parts.next().filter(|part| *part != NULL).map(str::to_owned));
    (serial, columns)
}

/// The first eight bytes of the text's SHA-256. Their sum over all rows does not depend on the order.
pub(super) fn hash(text: &str) -> i64 {
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .first_chunk()
        .map_or(0, |head| i64::from_be_bytes(*head))
}

/// The columns that a base node's JSON provides; the others are null.
pub(super) fn reported_columns(device: &Value, listed_in: i64) -> Columns {
    let (install, ancestry) = (&device["installParams"], &device["ancestry"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = |part: &str| ancestry[part]["id"].as_i64().map(|id| id.to_string());
    let name = |part: &str| text(&ancestry[part]["name"]);
    let rounded = |value: &Value, digits: usize| value.as_f64().map(|number| format!("{number:.digits$}"));
    let (lat, lng) = (
        rounded(&install["latitude"], 6),
        rounded(&install["longitude"], 6),
    );
    // 0/0 means that the position is not set.
    let unset = [&lat, &lng].iter().all(|at| at.as_deref() == Some("0.000000"));
    let if_set = |degrees: Option<String>| degrees.filter(|_| !unset);
    // A device without ancestry belongs to the region whose listing contains it.
    let region = (name("region"), id("region"));
    let region = match region {
        (Some(name), id) => (Some(name), id),
        (None, _) => (
            region_name(listed_in).map(str::to_owned),
            Some(listed_in.to_string()),
        ),
    };
    [
        text(&device["hostName"]),
        name("site"),
        name("market"),
        region.0,
        if_set(lat),
        if_set(lng),
        rounded(&install["height"], 2),
        rounded(&install["antennaAzimuth"], 2),
        text(&device["band"]),
        device["connected"].as_bool().map(|on| i32::from(on).to_string()),
        region.1,
        id("market"),
        id("site"),
        id("cell"),
        id("sector"),
        name("cellDetails"),
        name("sectorDetails"),
        None,
    ]
}

/// The name of a region of the simulator.
fn region_name(id: i64) -> Option<&'static str> {
    match id {
        1073 => Some("South Africa"),
        1074 => Some("Western Cape"),
        1075 => Some("Lowveld"),
        1079 => Some("Training"),
        _ => None,
    }
}

/// The row after a run that received these columns; `None`: no row is inserted, because the position is missing.
pub(super) fn merge_row(serial: &str, mut reported: Columns, before: Option<&Columns>) -> Option<Columns> {
    match before {
        // Null never erases a known value.
        Some(before) => {
            for (column, known) in reported.iter_mut().zip(before) {
                if column.is_none() {
                    column.clone_from(known);
                }
            }
        }
        None if reported[4].is_none() || reported[5].is_none() => return None,
        None => {
            for (column, default) in reported.iter_mut().zip(defaults(serial)) {
                *column = column.take().or(default);
            }
        }
    }
    Some(reported)
}

/// The default values of a new row.
pub(super) fn defaults(serial: &str) -> Columns {
    let mut row = Columns::default();
    for (at, value) in [
        (0, serial),
        (1, "Unknown Site"),
        (2, "Unknown"),
        (9, "0"),
        (17, "0"),
    ] {
        row[at] = Some(value.to_owned());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn device() -> Value {
        json!({"hostName": "X", "connected": true, "band": "5ghz",
            "installParams": {"latitude": -26.107_912, "longitude": 28.0, "height": 1598.6, "antennaAzimuth": 45.0},
            "ancestry": {"region": {"id": 1073, "name": "South Africa"}, "site": {"id": 1, "name": "S"}}})
    }

    #[test]
    fn parse_inverts_text() {
        let row = merge_row("s", reported_columns(&device(), 1073), None).unwrap();
        assert_eq!(row[4].as_deref(), Some("-26.107912"));
        assert_eq!(row[6].as_deref(), Some("1598.60"));
        assert_eq!(row[13], None, "no cell");
        assert_eq!(parse(&text("s", &row)), ("s", row.clone()));
        assert_ne!(hash(&text("s", &row)), hash(&text("t", &row)));
    }

    #[test]
    fn null_never_erases_a_value() {
        let before = merge_row("s", reported_columns(&device(), 1073), None).unwrap();
        let bare = json!({"hostName": "Y", "installParams": {"latitude": 0, "longitude": 0}});
        let row = merge_row("s", reported_columns(&bare, 1074), Some(&before)).unwrap();
        assert_eq!(row[0].as_deref(), Some("Y"));
        assert_eq!(
            row[3].as_deref(),
            Some("Western Cape"),
            "the region that lists it"
        );
        assert_eq!((&row[1], &row[4], &row[9]), (&before[1], &before[4], &before[9]));
        assert_eq!(
            merge_row("s", reported_columns(&bare, 1074), None),
            None,
            "no position"
        );
    }
}
