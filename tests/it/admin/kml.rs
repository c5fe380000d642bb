//! Stations as KML, and the filters of exports.

use super::client::AdminClient;

const HOSTILE: [(&str, &str, &str); 4] = [
    (
        "ODD1",
        "<script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ),
    ("ODD2", "]]></Placemark>", "]]&gt;&lt;/Placemark&gt;"),
    (
        "ODD3",
        "A & B \u{1}\r\n\u{1f5fc}",
        "A &amp; B \u{fffd}&#13;\n\u{1f5fc}",
    ),
    ("ODD&4", "&amp;", "&amp;amp;"),
];

async fn insert(admin: &AdminClient, serial: &str, name: &str, position: f64, online: bool) {
    let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market, device_status)
                  values ($1, $2, $2, $3::float8::numeric, $3::float8::numeric, 'Odd', $4)";
    let insert = sqlx::query(insert)
        .bind(serial)
        .bind(name)
        .bind(position)
        .bind(i32::from(online));
    insert.execute(&admin.env.db).await.unwrap();
}

async fn export(admin: &AdminClient, path: &str) -> String {
    let response = admin
        .get(&admin.viewer, &format!("/api/v1/stations.{path}"))
        .await;
    assert_eq!(response.status, 200, "{response:?}");
    response.text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kml_export_contains_all_stations_escaped() {
    let admin = AdminClient::with_connection().await;
    let empty = export(&admin, "kml").await;
    assert!(
        empty.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
        "{empty}"
    );
    assert!(empty.ends_with("</Document></kml>\n"), "{empty}");
    for (serial, name, _) in HOSTILE {
        insert(&admin, serial, name, -30.5, true).await;
    }
    insert(&admin, "UNSET", "unset", 0.0, false).await;
    // More than one chunk, the last one full.
    let filled = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng)
                  select 'M' || n, 'h', 's', 1, 2 from generate_series(1, 2000 - (select count(*) from tarana_base_stations)) n";
    sqlx::query(filled).execute(&admin.env.db).await.unwrap();
    let response = admin.get(&admin.viewer, "/api/v1/stations.kml").await;
    assert_eq!(
        (
            response.header("content-type"),
            response.header("content-disposition")
        ),
        (
            "application/vnd.google-earth.kml+xml",
            "attachment; filename=\"stations.kml\""
        )
    );
    let document = response.text;
    assert_eq!(document.matches("<Placemark>").count(), 2000);
    assert_eq!(document.matches("</Placemark>").count(), 2000);
    assert_eq!(document.matches("</kml>").count(), 1);
    for (_, _, escaped) in HOSTILE {
        let placemark = format!("<Placemark><name>{escaped}</name><styleUrl>#online</styleUrl>");
        assert!(document.contains(&placemark), "{escaped}");
    }
    assert!(document.contains("<Data name=\"serial\"><value>ODD&amp;4</value></Data>"));
    assert!(document.contains("<Point><coordinates>-30.5,-30.5</coordinates></Point>"));
    let (_, unset) = document.split_once("<name>unset</name>").unwrap();
    let (unset, _) = unset.split_once("</Placemark>").unwrap();
    assert!(
        unset.contains("#offline") && !unset.contains("<Point>"),
        "{unset}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_contains_the_matching_stations() {
    let admin = AdminClient::with_connection().await;
    insert(&admin, "S1", "Hill", 1.0, true).await;
    insert(&admin, "S2", "100%", 1.0, false).await;
    insert(&admin, "S3", "Valley", 1.0, false).await;
    let cases = [
        ("", 3),
        ("?market=Odd", 3),
        ("?market=Even", 0),
        ("?market=Odd&online=false", 2),
        ("?online=true", 1),
        ("?search=0%25", 1),
        ("?search=%27%3B%20drop", 0),
        ("?region=x", 0),
    ];
    for (query, expected) in cases {
        let csv = export(&admin, &format!("csv{query}")).await;
        assert_eq!(csv.lines().count(), expected + 1, "csv {query}");
        let geojson = export(&admin, &format!("geojson{query}")).await;
        assert_eq!(
            geojson.matches("\"Feature\"").count(),
            expected,
            "geojson {query}"
        );
        let kml = export(&admin, &format!("kml{query}")).await;
        assert_eq!(kml.matches("<Placemark>").count(), expected, "kml {query}");
    }
}
