//! Pure: stations as GeoJSON (RFC 7946).

use serde::Serialize;

use super::station::{StationResponse, position};
use crate::store::StationRow;

/// What precedes the first feature.
pub const GEOJSON_START: &str = "{\"type\":\"FeatureCollection\",\"features\":[\n";
/// What follows the last feature. Without it the document is not JSON, so that a part of it does not look complete.
pub const GEOJSON_END: &str = "\n]}\n";

#[derive(Serialize)]
struct Feature {
    #[serde(rename = "type")]
    type_: &'static str,
    id: String,
    geometry: Option<Point>,
    properties: StationResponse,
}

#[derive(Serialize)]
struct Point {
    #[serde(rename = "type")]
    type_: &'static str,
    /// Longitude first.
    coordinates: [f64; 2],
}

/// A station as a feature.
pub fn geojson_feature(row: StationRow) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Feature {
        type_: "Feature",
        id: row.serial.clone(),
        geometry: position(&row).map(|coordinates| Point {
            type_: "Point",
            coordinates,
        }),
        properties: StationResponse::from(row),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_a_position_on_earth_is_a_geometry() {
        let cases = [
            (
                (-33.9, 18.4),
                json!({"type": "Point", "coordinates": [18.4, -33.9]}),
            ),
            ((0.0, 18.4), json!({"type": "Point", "coordinates": [18.4, 0.0]})),
            (
                (-90.0, 180.0),
                json!({"type": "Point", "coordinates": [180.0, -90.0]}),
            ),
            ((0.0, 0.0), Value::Null),
            ((91.0, 1.0), Value::Null),
            ((1.0, -181.0), Value::Null),
            ((f64::NAN, 1.0), Value::Null),
            ((1.0, f64::INFINITY), Value::Null),
        ];
        for ((lat, lng), expected) in cases {
            let row = StationRow {
                serial: "S\"1".to_owned(),
                hostname: String::new(),
                site_name: "<script>".to_owned(),
                active_connections: None,
                market: None,
                lat,
                lng,
                region: None,
                height_m: None,
                azimuth_deg: None,
                band: None,
                online: true,
                cell_name: None,
                sector_name: None,
                last_updated: None,
            };
            let feature: Value = serde_json::from_str(&geojson_feature(row).unwrap()).unwrap();
            assert_eq!(feature["geometry"], expected, "{lat} {lng}");
            assert_eq!(
                (&feature["type"], &feature["id"]),
                (&json!("Feature"), &json!("S\"1"))
            );
            assert_eq!(feature["properties"]["siteName"], "<script>");
        }
    }
}
