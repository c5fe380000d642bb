//! Pure: the columns of `tarana_base_stations` that a sync reads and writes, listed once.
//!
//! Reading, writing, comparing and recording all use [`COLUMNS`] and [`values`]: a new column is one line in each, and one
//! in [`super::decode`].

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::station::Row;

/// One value as PostgreSQL stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Text(&'a str),
    Int(i32),
    /// `units` / 10^`scale`, exactly.
    Fixed {
        units: i64,
        scale: u32,
    },
}

/// Name and type, in the order of [`values`]. The serial comes first.
pub(super) const COLUMNS: [(&str, &str); 19] = [
    ("serial_number", "text"),
    ("hostname", "text"),
    ("site_name", "text"),
    ("active_connections", "int"),
    ("market", "text"),
    ("lat", "numeric(10,6)"),
    ("lng", "numeric(10,6)"),
    ("region", "text"),
    ("height_m", "numeric(8,2)"),
    ("azimuth_deg", "numeric(5,2)"),
    ("band", "text"),
    ("device_status", "int"),
    ("region_id", "int"),
    ("market_id", "int"),
    ("site_id", "int"),
    ("cell_id", "int"),
    ("sector_id", "int"),
    ("cell_name", "text"),
    ("sector_name", "text"),
];

/// The row, column by column.
pub(super) fn values(row: &Row) -> [Value<'_>; COLUMNS.len()] {
    [
        Value::Text(&row.serial),
        Value::Text(&row.hostname),
        Value::Text(&row.site_name),
        int(row.active_connections),
        text(row.market.as_deref()),
        Value::Fixed {
            units: row.position.lat_e6,
            scale: 6,
        },
        Value::Fixed {
            units: row.position.lng_e6,
            scale: 6,
        },
        text(row.region.as_deref()),
        hundredths(row.height_cm),
        hundredths(row.azimuth_cdeg),
        text(row.band.as_deref()),
        int(row.device_status),
        int(row.region_id),
        int(row.market_id),
        int(row.site_id),
        int(row.cell_id),
        int(row.sector_id),
        text(row.cell_name.as_deref()),
        text(row.sector_name.as_deref()),
    ]
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Null, Value::Text)
}

fn int(value: Option<i32>) -> Value<'static> {
    value.map_or(Value::Null, Value::Int)
}

fn hundredths(value: Option<i32>) -> Value<'static> {
    value.map_or(Value::Null, |units| Value::Fixed {
        units: units.into(),
        scale: 2,
    })
}

/// The columns as a comma-separated list, each formatted by `each`.
pub(super) fn list(mut each: impl FnMut(&str, &str) -> String) -> String {
    COLUMNS
        .iter()
        .map(|(name, kind)| each(name, kind))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Value::Null => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Int(number) => serializer.serialize_i32(number),
            // With all digits, as PostgreSQL writes a numeric; a float would lose them.
            Value::Fixed { units, scale } => RawValue::from_string(decimal(units, scale))
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

fn decimal(units: i64, scale: u32) -> String {
    let one = 10_u64.pow(scale);
    let (whole, rest) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{rest:0width$}", width = scale as usize)
}

#[cfg(test)]
mod tests {
    use super::Value;

    fn json(value: Value<'_>) -> String {
        serde_json::to_string(&value).unwrap()
    }

    #[test]
    fn values_are_written_as_json() {
        assert_eq!(json(Value::Null), "null");
        assert_eq!(json(Value::Int(-7)), "-7");
        assert_eq!(
            json(Value::Fixed {
                units: -26_107_912,
                scale: 6
            }),
            "-26.107912"
        );
        assert_eq!(json(Value::Fixed { units: -5, scale: 2 }), "-0.05");
        assert_eq!(
            json(Value::Fixed {
                units: 159_860,
                scale: 2
            }),
            "1598.60"
        );
        for text in ["plain", "a \"b\" \\ c", "line\nfeed\tand\u{1}", "Größe ☂"] {
            assert_eq!(
                serde_json::from_str::<String>(&json(Value::Text(text))).unwrap(),
                text
            );
        }
    }
}
