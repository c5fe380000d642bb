//! The expected stations table, by a mapping from the fleet that shares no code with the operator.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;

use super::environment::TestEnvironment;

/// Asserts that the table contains exactly the base nodes with usable coordinates, with the values of the fleet.
pub async fn assert_table_matches_fleet(env: &TestEnvironment) {
    let expected: BTreeMap<String, Value> = env
        .tcs
        .base_nodes()
        .iter()
        .filter_map(|r| expected_row(&r.value().unwrap(), r.region))
        .collect();
    let found = stored_rows(&env.db).await;
    for (serial, row) in &expected {
        assert_eq!(found.get(serial), Some(row), "{serial}");
    }
    let extra: Vec<&String> = found.keys().filter(|s| !expected.contains_key(*s)).collect();
    assert!(extra.is_empty(), "rows of stations that do not exist: {extra:?}");
}

/// The table by serial number, with the columns that come from the vendor.
pub async fn stored_rows(db: &PgPool) -> BTreeMap<String, Value> {
    let rows: Vec<(String, Value)> = sqlx::query_as(
        "select serial_number, to_jsonb(t) - array['id', 'created_at', 'last_updated', 'network_profile_id', 'bandwidth_mhz', 'location', 'active_connections', 'serial_number']
         from tarana_base_stations t",
    )
    .fetch_all(db)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// The expected row of a base node; `None` without usable coordinates.
pub fn expected_row(device: &Value, listed_in: i64) -> Option<(String, Value)> {
    let install = &device["installParams"];
    let (lat, lng) = (install["latitude"].as_f64()?, install["longitude"].as_f64()?);
    if lat == 0.0 && lng == 0.0 {
        return None;
    }
    let ancestry = &device["ancestry"];
    let or = |value: &Value, fallback: &str| {
        if value.is_null() {
            json!(fallback)
        } else {
            value.clone()
        }
    };
    // A device without ancestry belongs to the region of its listing.
    let region = if ancestry["region"].is_null() {
        region(listed_in)
    } else {
        ancestry["region"].clone()
    };
    let serial = device["serialNumber"].as_str().unwrap().to_owned();
    Some((
        serial.clone(),
        json!({
            "hostname": or(&device["hostName"], &serial),
            "site_name": or(&ancestry["site"]["name"], "Unknown Site"),
            "market": or(&ancestry["market"]["name"], "Unknown"),
            "region": region["name"],
            "lat": rounded(lat, 6), "lng": rounded(lng, 6),
            "height_m": install["height"].as_f64().map(|h| rounded(h, 2)),
            "azimuth_deg": install["antennaAzimuth"].as_f64().map(|a| rounded(a.rem_euclid(360.0), 2)),
            "band": device["band"],
            "device_status": i32::from(device["connected"].as_bool().unwrap_or(false)),
            "region_id": region["id"], "market_id": ancestry["market"]["id"], "site_id": ancestry["site"]["id"],
            "cell_id": ancestry["cell"]["id"], "sector_id": ancestry["sector"]["id"],
            "cell_name": ancestry["cellDetails"]["name"], "sector_name": ancestry["sectorDetails"]["name"],
        }),
    ))
}

/// Rounded like the column, with all digits, as PostgreSQL prints a `numeric` in JSON.
fn rounded(value: f64, digits: usize) -> Value {
    serde_json::from_str(&format!("{value:.digits$}")).unwrap()
}

/// A region of the simulator (see its README).
fn region(id: i64) -> Value {
    let name = match id {
        1073 => "South Africa",
        1074 => "Western Cape",
        1075 => "Lowveld",
        1079 => "Training",
        other => panic!("no region {other}"),
    };
    json!({"id": id, "name": name})
}

/// How many of these serial numbers the table contains.
pub async fn count_rows_of(env: &TestEnvironment, serials: &[String]) -> i64 {
    let count = "select count(*) from tarana_base_stations where serial_number = any($1)";
    sqlx::query_scalar(count)
        .bind(serials)
        .fetch_one(&env.db)
        .await
        .unwrap()
}
