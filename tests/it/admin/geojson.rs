//! Stations as GeoJSON, and how fresh they are.

use serde_json::{Value, json};

use super::client::AdminClient;
use crate::environment::wait_until;

const HOSTILE: [(&str, &str, &str); 5] = [
    ("ODD1", "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")"),
    ("ODD2", "\u{1f5fc} tour d'émission \u{200d}", "say \"hi\""),
    ("ODD3", "]}", "},{\"type\":\"Feature\""),
    ("ODD4", "\u{2028}\\u0000 \u{7f}\u{1}", "two\r\nlines\t\\"),
    ("ODD\"5", "", "'"),
];

async fn insert(admin: &AdminClient, serial: &str, hostname: &str, site: &str, lat: f64, lng: f64) {
    let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market)
                  values ($1, $2, $3, $4::float8::numeric, $5::float8::numeric, 'Odd')";
    let insert = sqlx::query(insert)
        .bind(serial)
        .bind(hostname)
        .bind(site)
        .bind(lat)
        .bind(lng);
    insert.execute(&admin.env.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_geojson_export_contains_all_stations_unchanged() {
    let admin = AdminClient::with_connection().await;
    let empty = admin.get(&admin.viewer, "/api/v1/stations.geojson").await;
    assert_eq!(empty.json(), json!({"type": "FeatureCollection", "features": []}));
    admin.env.run("first", json!({})).await;
    for (serial, hostname, site) in HOSTILE {
        insert(&admin, serial, hostname, site, -30.5, 25.25).await;
    }
    insert(&admin, "UNSET", "h", "s", 0.0, 0.0).await;
    // More than one chunk, the last one full.
    let filled = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng)
                  select 'M' || n, 'h', 's', 1, 2 from generate_series(1, 5000 - (select count(*) from tarana_base_stations)) n";
    sqlx::query(filled).execute(&admin.env.db).await.unwrap();
    let response = admin.get(&admin.viewer, "/api/v1/stations.geojson").await;
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, "application/geo+json")
    );
    let disposition = response.header("content-disposition");
    assert_eq!(disposition, "attachment; filename=\"stations.geojson\"");
    let document = response.json();
    assert_eq!(document["type"], "FeatureCollection");
    let features = document["features"].as_array().unwrap();
    let serials: std::collections::BTreeSet<_> = features.iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(
        (features.len(), serials.len()),
        (5000, 5000),
        "every station once"
    );
    let feature = |serial: &str| features.iter().find(|f| f["id"] == serial).unwrap();
    for (serial, hostname, site) in HOSTILE {
        let found = feature(serial);
        assert_eq!(
            found["geometry"],
            json!({"type": "Point", "coordinates": [25.25, -30.5]})
        );
        let properties = &found["properties"];
        assert_eq!(
            (
                &properties["serial"],
                &properties["hostname"],
                &properties["siteName"]
            ),
            (&json!(serial), &json!(hostname), &json!(site))
        );
    }
    let unset = feature("UNSET");
    assert_eq!(
        (&unset["type"], &unset["geometry"]),
        (&json!("Feature"), &Value::Null)
    );
    assert_eq!(unset["properties"], station(&admin, "UNSET").await["station"]);
}

async fn station(admin: &AdminClient, serial: &str) -> Value {
    let path = format!("/api/v1/stations/{serial}");
    admin.get(&admin.viewer, &path).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_reject_what_they_do_not_know() {
    let admin = AdminClient::with_connection().await;
    for export in ["csv", "geojson", "kml"] {
        let path = format!("/api/v1/stations.{export}");
        for (query, status) in [
            ("?sort=serial", 400),
            ("?online=1", 400),
            ("?search=%00", 400),
            ("?format=kml", 400),
            ("?namespace=", 400),
            ("?connection=none", 404),
        ] {
            let response = admin.get(&admin.viewer, &format!("{path}{query}")).await;
            assert_eq!(response.status, status, "{export} {query}: {response:?}");
            assert_eq!(response.header("content-type"), "application/problem+json");
        }
        assert_eq!(admin.get(&admin.no_roles, &path).await.status, 403, "{export}");
    }
    for long in ["search", "market", "region"] {
        let path = format!("/api/v1/stations?{long}={}", "x".repeat(201));
        let response = admin.get(&admin.viewer, &path).await;
        assert_eq!(response.status, 400, "{response:?}");
        assert!(response.text.contains(long), "{response:?}");
    }
}

/// A wide table, so that an export does not fit into the buffers of a connection.
async fn fill_with_wide_rows(admin: &AdminClient) {
    let wide = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng)
                select 'W' || n, repeat('w', 1000), 's', 1, 2 from generate_series(1, 20000) n";
    sqlx::query(wide).execute(&admin.env.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_does_not_look_complete() {
    let admin = AdminClient::with_connection().await;
    fill_with_wide_rows(&admin).await;
    let path = "/api/v1/stations.geojson";
    let start = async || {
        let request = admin.request("GET", path).bearer_auth(&admin.viewer);
        request.send().await.unwrap()
    };
    let (mut first, second) = (start().await, start().await);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let busy = admin.get(&admin.viewer, path).await;
    assert_eq!(busy.status, 503, "{busy:?}");
    assert!(busy.text.contains("two exports"), "{busy:?}");
    drop(second);
    let begin = first.chunk().await.unwrap().unwrap();
    assert!(begin.starts_with(b"{\"type\":\"FeatureCollection\""));
    // Rows that are written during an export belong to a later snapshot.
    insert(
        &admin,
        "A new row, which sorts last of all: ZZZ",
        "h",
        "s",
        1.0,
        2.0,
    )
    .await;
    let exports = "from pg_stat_activity where datname = current_database() and query like 'FETCH%'
                   and state in ('active', 'idle in transaction')";
    let number = |what: &str| {
        let select = sqlx::AssertSqlSafe(format!("select count({what}) {exports}"));
        async {
            sqlx::query_scalar::<_, i64>(select)
                .fetch_one(&admin.env.db)
                .await
                .unwrap()
        }
    };
    wait_until("the export that nobody reads has ended", || async {
        (number("*").await == 1).then_some(())
    })
    .await;
    assert_eq!(number("pg_terminate_backend(pid)").await, 1);
    let rest = loop {
        match first.chunk().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(rest.is_err(), "the response is aborted: {rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_nobody_reads_is_aborted() {
    let admin = AdminClient::with_connection().await;
    fill_with_wide_rows(&admin).await;
    let path = "/api/v1/stations.geojson";
    let start = async || {
        admin
            .request("GET", path)
            .bearer_auth(&admin.viewer)
            .send()
            .await
            .unwrap()
    };
    let unread = (start().await, start().await);
    assert_eq!(start().await.status(), 503, "two exports are in progress");
    wait_until("an export can start", || async {
        (start().await.status() == 200).then_some(())
    })
    .await;
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_shows_one_snapshot() {
    let admin = AdminClient::with_connection().await;
    fill_with_wide_rows(&admin).await;
    let request = admin.request("GET", "/api/v1/stations.geojson");
    let mut response = request.bearer_auth(&admin.viewer).send().await.unwrap();
    let mut text = response.chunk().await.unwrap().unwrap().to_vec();
    insert(&admin, "ZZZ", "h", "s", 1.0, 2.0).await;
    sqlx::query("delete from tarana_base_stations where serial_number like 'W9%'")
        .execute(&admin.env.db)
        .await
        .unwrap();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend(chunk);
    }
    let document: Value = serde_json::from_slice(&text).unwrap();
    let features = document["features"].as_array().unwrap();
    assert_eq!(features.len(), 20_000, "as it was when the export began");
    assert!(!features.iter().any(|feature| feature["id"] == "ZZZ"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_tell_how_fresh_they_are() {
    let admin = AdminClient::with_connection().await;
    let fresh = async |path: &str| -> (Value, Value) {
        let body = admin.get(&admin.viewer, path).await.json();
        assert!(body.get("trueAsOf").is_some(), "{body}");
        (body["trueAsOf"].clone(), body["trueAsOfSync"].clone())
    };
    for path in ["/api/v1/stations?limit=1", "/api/v1/summary"] {
        assert_eq!(fresh(path).await, (Value::Null, Value::Null), "{path}");
    }
    let first = admin.env.run("first", json!({})).await;
    let (id, started) = (
        first.metadata.uid.clone().unwrap(),
        started_at(&admin, &first).await,
    );
    let serial: String = sqlx::query_scalar("select min(serial_number) from tarana_base_stations")
        .fetch_one(&admin.env.db)
        .await
        .unwrap();
    let paths = [
        "/api/v1/stations?limit=1".to_owned(),
        "/api/v1/summary".to_owned(),
        format!("/api/v1/stations/{serial}"),
    ];
    let assert_fresh = async |expected: &(Value, Value)| {
        for path in &paths {
            assert_eq!(fresh(path).await, *expected, "{path}");
        }
    };
    let expected = (json!(started), json!(id));
    assert_fresh(&expected).await;
    // A dry run reads and writes nothing; the log row stays when the object is deleted.
    admin.env.run("dry", json!({"dryRun": true})).await;
    admin.env.delete("first").await;
    assert_fresh(&expected).await;
    // Another connection with the same table.
    admin.env.connection("other", json!({})).await;
    admin
        .env
        .run("others", json!({"connectionRef": {"name": "other"}}))
        .await;
    assert_fresh(&expected).await;
    // A run whose first attempt failed is as fresh as its second one.
    let second = admin.env.run("second", json!({})).await;
    let update = "update tarana_sync_logs set attempt = 2, errors = jsonb_build_array(jsonb_build_object(
                      'message', 'attempt 1: ApiUnavailable: m', 'timestamp', started_at + interval '3 seconds')) where id = $1";
    let id = crate::environment::id_of(&second);
    sqlx::query(update).bind(id).execute(&admin.env.db).await.unwrap();
    let started: jiff::Timestamp = started_at(&admin, &second).await.parse().unwrap();
    let begun = started + jiff::SignedDuration::from_secs(3);
    assert_fresh(&(json!(begun.to_string()), json!(id))).await;
}

/// `started_at` of the log row, as the API shows it.
async fn started_at(admin: &AdminClient, sync: &tarana_operator::api::sync::TaranaSync) -> String {
    let row = admin.env.log_row(sync).await;
    let started: jiff::Timestamp = row["started_at"].as_str().unwrap().parse().unwrap();
    started.to_string()
}
