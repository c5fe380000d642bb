//! Pure: what the table must say of a device, by a mapping of this file's own.
//!
//! It shares nothing with the operator: where both misread a rule in the same way, no soak would notice.

use ring::digest::{SHA256, digest};
use serde_json::Value;

/// The columns that a row is compared by: all that a sync writes, but for the time at which it did.
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

/// Stands between the columns of a row's text, and for null. No name of the fleet has them.
const BETWEEN: char = '\u{1f}';
const NULL: &str = "\u{1e}";

/// A row as PostgreSQL prints its columns; null is `None`.
pub(super) type Columns = [Option<String>; COLUMNS.len()];

/// The expression that makes the text of a row, as [`text`] makes it.
pub(super) fn expression() -> String {
    let columns = COLUMNS.map(|column| format!("coalesce({column}::text, chr(30))"));
    format!("concat_ws(chr(31), serial_number, {})", columns.join(", "))
}

pub(super) fn text(serial: &str, columns: &Columns) -> String {
    let mut text = serial.to_owned();
    for column in columns {
        text.push(BETWEEN);
        text.push_str(column.as_deref().unwrap_or(NULL));
    }
    text
}

/// Serial and columns of a text. Columns that are not there are null.
pub(super) fn parse(text: &str) -> (&str, Columns) {
    let mut parts = text.split(BETWEEN);
    let serial = parts.next().unwrap_or_default();
    let columns = std::array::from_fn(|_| parts.next().filter(|part| *part != NULL).map(str::to_owned));
    (serial, columns)
}

/// The first eight bytes of the text's SHA-256. Sums of them do not depend on an order.
pub(super) fn hash(text: &str) -> i64 {
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .first_chunk()
        .map_or(0, |head| i64::from_be_bytes(*head))
}

/// What the vendor says of a base node; null where it says nothing.
pub(super) fn told(device: &Value, listed_in: i64) -> Columns {
    let (install, ancestry) = (&device["installParams"], &device["ancestry"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = |part: &str| ancestry[part]["id"].as_i64().map(|id| id.to_string());
    let name = |part: &str| text(&ancestry[part]["name"]);
    let rounded = |value: &Value, digits: usize| value.as_f64().map(|number| format!("{number:.digits$}"));
    let (lat, lng) = (
        rounded(&install["latitude"], 6),
        rounded(&install["longitude"], 6),
    );
    // Both zero means that nobody has set them.
    let unset = [&lat, &lng].iter().all(|at| at.as_deref() == Some("0.000000"));
    let place = |at: Option<String>| at.filter(|_| !unset);
    // A device without ancestry is of the region that was asked for it.
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
        place(lat),
        place(lng),
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

/// A region of the simulator, as its README tells them.
fn region_name(id: i64) -> Option<&'static str> {
    match id {
        1073 => Some("South Africa"),
        1074 => Some("Western Cape"),
        1075 => Some("Lowveld"),
        1079 => Some("Training"),
        _ => None,
    }
}

/// The row that a station has after a run was told this of it; `None`: it still has none, for want of a position.
pub(super) fn after(serial: &str, mut told: Columns, before: Option<&Columns>) -> Option<Columns> {
    match before {
        // Null never erases a known value.
        Some(before) => {
            for (column, known) in told.iter_mut().zip(before) {
                if column.is_none() {
                    column.clone_from(known);
                }
            }
        }
        None if told[4].is_none() || told[5].is_none() => return None,
        None => {
            for (column, fallback) in told.iter_mut().zip(fallbacks(serial)) {
                *column = column.take().or(fallback);
            }
        }
    }
    Some(told)
}

/// What a new row has where the vendor says nothing.
pub(super) fn fallbacks(serial: &str) -> Columns {
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
    fn a_row_comes_back_from_its_text() {
        let row = after("s", told(&device(), 1073), None).unwrap();
        assert_eq!(row[4].as_deref(), Some("-26.107912"));
        assert_eq!(row[6].as_deref(), Some("1598.60"));
        assert_eq!(row[13], None, "no cell");
        assert_eq!(parse(&text("s", &row)), ("s", row.clone()));
        assert_ne!(hash(&text("s", &row)), hash(&text("t", &row)));
    }

    #[test]
    fn nothing_erases_nothing() {
        let before = after("s", told(&device(), 1073), None).unwrap();
        let bare = json!({"hostName": "Y", "installParams": {"latitude": 0, "longitude": 0}});
        let row = after("s", told(&bare, 1074), Some(&before)).unwrap();
        assert_eq!(row[0].as_deref(), Some("Y"));
        assert_eq!(row[3].as_deref(), Some("Western Cape"), "listed there");
        assert_eq!((&row[1], &row[4], &row[9]), (&before[1], &before[4], &before[9]));
        assert_eq!(after("s", told(&bare, 1074), None), None, "nowhere to put it");
    }
}
