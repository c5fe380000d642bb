//! The record of changes, as people and programs read it: whatever form a batch has.

use serde_json::{Value, json};
use tarana_operator::station::{Change, Row};

use crate::store_support::{Database, Way, every_way, perform, ready, row};

every_way! {
    whole_rows_are_recorded_as_they_are,
    what_older_operators_recorded_is_read,
}

/// The row as it is to be read. Written out, not made by the code that is tried here.
fn told(serial: &str) -> Value {
    json!({
        "serial_number": serial, "hostname": format!("host \"{serial}\""), "site_name": "Größe ☂", "active_connections": 3,
        "market": "JHB Gauteng", "lat": -26.107_912, "lng": 28.056_721, "region": "South Africa", "height_m": 1598.60,
        "azimuth_deg": 45.00, "band": "5ghz", "device_status": 1, "region_id": 1073, "market_id": 9602, "site_id": null,
        "cell_id": 4, "sector_id": null, "cell_name": "X9001", "sector_name": null,
    })
}

async fn changes(database: &Database, run: uuid::Uuid) -> Value {
    let select = format!(
        "SELECT json_agg(json_build_array(seq, serial, op, before, after, applied) ORDER BY seq)::text
         FROM tarana_sync_changes WHERE run = '{run}'"
    );
    serde_json::from_str(&database.value(&select).await).unwrap()
}

async fn whole_rows_are_recorded_as_they_are(way: Way) {
    let (database, store) = ready(way).await;
    let new = perform(&store, ["S1", "S2"].map(row).map(Change::Insert).to_vec()).await;
    assert_eq!(
        changes(&database, new.id).await,
        json!([
            [1, "S1", "insert", null, told("S1"), true],
            [2, "S2", "insert", null, told("S2"), true]
        ])
    );
    let bare = Row {
        height_cm: None,
        market: None,
        ..row("S3")
    };
    let gone = vec![
        Change::Delete(row("S1")),
        Change::Withhold(row("S2")),
        Change::Withhold(row("S4")),
        Change::Insert(bare),
    ];
    let gone = perform(&store, gone).await;
    let mut bare = told("S3");
    (bare["height_m"], bare["market"]) = (Value::Null, Value::Null);
    assert_eq!(
        changes(&database, gone.id).await,
        json!([
            [1, "S1", "delete", told("S1"), null, true],
            [2, "S2", "delete", told("S2"), null, false],
            [3, "S4", "delete", told("S4"), null, false],
            [4, "S3", "insert", null, bare, true]
        ])
    );
}

async fn what_older_operators_recorded_is_read(way: Way) {
    let (database, store) = ready(way).await;
    let run = perform(&store, vec![Change::Insert(row("S1"))]).await;
    let old = format!(
        r#"INSERT INTO tarana_sync_change_batches (run, first, op, applied, changes) VALUES ('{}', 2, 'delete', false,
           '[{{"serial":"S8","before":{{"lat":1.5}}}},{{"serial":"S9","before":{{}}}}]')"#,
        run.id
    );
    database.sql(&old).await;
    assert_eq!(
        changes(&database, run.id).await,
        json!([
            [1, "S1", "insert", null, told("S1"), true],
            [2, "S8", "delete", {"lat": 1.5}, null, false],
            [3, "S9", "delete", {}, null, false]
        ])
    );
}
