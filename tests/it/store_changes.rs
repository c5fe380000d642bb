//! The view of changes, for every format of a batch.

use serde_json::{Value, json};
use tarana_operator::station::{Change, Row};

use crate::store_support::{AccessMode, Database, perform, ready, row, tests_with_every_mode};

tests_with_every_mode! {
    changes_record_whole_rows,
    changes_of_older_versions_are_readable,
}

/// The expected row, written out because the code under test must not create it.
fn expected(serial: &str) -> Value {
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

async fn changes_record_whole_rows(mode: AccessMode) {
    let (database, store) = ready(mode).await;
    let first = perform(&store, ["S1", "S2"].map(row).map(Change::Insert).to_vec()).await;
    assert_eq!(
        changes(&database, first.id).await,
        json!([
            [1, "S1", "insert", null, expected("S1"), true],
            [2, "S2", "insert", null, expected("S2"), true]
        ])
    );
    let bare = Row {
        height_cm: None,
        market: None,
        ..row("S3")
    };
    let changes_of_second = vec![
        Change::Delete(row("S1")),
        Change::Withhold(row("S2")),
        Change::Withhold(row("S4")),
        Change::Insert(bare),
    ];
    let second = perform(&store, changes_of_second).await;
    let mut bare = expected("S3");
    (bare["height_m"], bare["market"]) = (Value::Null, Value::Null);
    assert_eq!(
        changes(&database, second.id).await,
        json!([
            [1, "S1", "delete", expected("S1"), null, true],
            [2, "S3", "insert", null, bare, true],
            [3, "S2", "delete", expected("S2"), null, false],
            [4, "S4", "delete", expected("S4"), null, false],
        ])
    );
}

async fn changes_of_older_versions_are_readable(mode: AccessMode) {
    let (database, store) = ready(mode).await;
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
            [1, "S1", "insert", null, expected("S1"), true],
            [2, "S8", "delete", {"lat": 1.5}, null, false],
            [3, "S9", "delete", {}, null, false]
        ])
    );
}
