//! Stations over HTTP, with unusual values.

use serde_json::{Value, json};

use super::client::{AdminClient, Response};

const UNUSUAL: [(&str, &str, &str); 4] = [
    ("ODD1", "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")"),
    ("ODD2", "100%_sure", "@SUM(A1), \"quoted\""),
    ("ODD3", "100 percent", "-2+3"),
    ("ODD4", "o'); drop table tarana_base_stations; --", "two\nlines"),
];

const SORTS: [&str; 8] = [
    "serial",
    "hostname",
    "siteName",
    "market",
    "region",
    "online",
    "activeConnections",
    "lastUpdated",
];

const INVALID_QUERIES: [&str; 9] = [
    "sort=id",
    "sort=serial_number%3B",
    "order=up",
    "limit=0",
    "limit=1001",
    "offset=-1",
    "online=1",
    "search=%00",
    "x=1",
];

async fn with_unusual_rows() -> AdminClient {
    let admin = AdminClient::with_connection().await;
    admin.env.run("first", json!({})).await;
    for (serial, hostname, site) in UNUSUAL {
        let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market, device_status, active_connections)
                      values ($1, $2, $3, -30, 25, 'Odd', 1, 3)";
        let insert = sqlx::query(insert).bind(serial).bind(hostname).bind(site);
        insert.execute(&admin.env.db).await.unwrap();
    }
    admin
}

async fn list(admin: &AdminClient, query: &str) -> Value {
    let response = admin
        .get(&admin.viewer, &format!("/api/v1/stations?{query}"))
        .await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

fn serials(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|station| station["serial"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_are_searched_and_sorted() {
    let admin = with_unusual_rows().await;
    let all = admin
        .env
        .number("select count(*) from tarana_base_stations")
        .await;
    let page = list(&admin, "limit=10").await;
    assert_eq!((page["total"].as_i64(), serials(&page).len()), (Some(all), 10));
    // The search term is text, not a pattern and not SQL.
    assert_eq!(serials(&list(&admin, "search=100%25").await), ["ODD2"]);
    assert_eq!(serials(&list(&admin, "search=%25_").await), ["ODD2"]);
    assert_eq!(serials(&list(&admin, "search=%3CSCRIPT").await), ["ODD1"]);
    assert_eq!(serials(&list(&admin, "search=o%27)%3B%20drop").await), ["ODD4"]);
    assert_eq!(list(&admin, "search=%5C").await["total"], 0);
    // The end of the serial number and the begin of the host name.
    assert_eq!(
        list(&admin, &format!("search=ODD1{}", &UNUSUAL[0].1[..1])).await["total"],
        0
    );
    assert_eq!(
        serials(&list(&admin, "market=Odd&sort=hostname&order=descending").await).len(),
        4
    );
    let (first, second) = (
        list(&admin, "market=Odd&limit=3").await,
        list(&admin, "market=Odd&limit=3&offset=3").await,
    );
    assert_eq!(
        (serials(&first), serials(&second)),
        (vec!["ODD1", "ODD2", "ODD3"], vec!["ODD4"])
    );
    // A full page, the last one, a last one that is full, and one beyond the end.
    for page in ["limit=3", "limit=3&offset=3", "limit=2&offset=2", "offset=9"] {
        assert_eq!(
            list(&admin, &format!("market=Odd&{page}")).await["total"],
            4,
            "{page}"
        );
    }
    let offline = admin
        .env
        .number("select count(*) from tarana_base_stations where device_status is distinct from 1")
        .await;
    assert_eq!(list(&admin, "online=false").await["total"], offline);
    for sort in SORTS {
        assert_eq!(
            list(&admin, &format!("sort={sort}&limit=1")).await["total"],
            all,
            "{sort}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_with_other_collations_are_searched() {
    let admin = with_unusual_rows().await;
    let statements = [
        "create collation ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "alter table tarana_base_stations alter hostname type text collate ignoring_case, alter site_name type text collate \"C\"",
    ];
    for statement in statements {
        sqlx::query(statement).execute(&admin.env.db).await.unwrap();
    }
    assert_eq!(serials(&list(&admin, "search=%3CSCRIPT").await), ["ODD1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_queries_of_stations_are_rejected() {
    let admin = AdminClient::with_connection().await;
    for invalid in INVALID_QUERIES {
        let response = admin
            .get(&admin.viewer, &format!("/api/v1/stations?{invalid}"))
            .await;
        assert_eq!(response.status, 400, "{invalid}: {response:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_are_counted_by_market() {
    let admin = with_unusual_rows().await;
    let without = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market)
                   values ('NONE1', 'h', 's', 0, 0, null), ('NONE2', 'h', 's', 0, 0, '')";
    sqlx::query(without).execute(&admin.env.db).await.unwrap();
    let all = admin
        .env
        .number("select count(*) from tarana_base_stations")
        .await;
    let summary = admin.get(&admin.viewer, "/api/v1/summary").await.json();
    assert_eq!(summary["all"]["stations"], all);
    let markets = summary["markets"].as_array().unwrap();
    let odd = markets.iter().find(|market| market["market"] == "Odd").unwrap();
    assert_eq!(
        (&odd["stations"], &odd["online"], &odd["activeConnections"]),
        (&json!(4), &json!(4), &json!(12))
    );
    let unnamed: Vec<&Value> = markets.iter().filter(|market| market["market"] == "").collect();
    assert_eq!(
        unnamed.len(),
        1,
        "stations without a market and with an empty one"
    );
    let sum: i64 = markets
        .iter()
        .map(|market| market["stations"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_csv_export_contains_all_stations_and_no_formula() {
    let admin = with_unusual_rows().await;
    // More than one chunk.
    let many = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng)
                select 'M' || n, 'h', 's', 0, 0 from generate_series(1, 5000) n";
    sqlx::query(many).execute(&admin.env.db).await.unwrap();
    let Response {
        status,
        headers,
        text,
    } = admin.get(&admin.viewer, "/api/v1/stations.csv").await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/csv; charset=utf-8".parse().unwrap())
    );
    assert!(
        headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let all = admin
        .env
        .number("select count(*) from tarana_base_stations")
        .await;
    let lines = text.matches("\r\n").count();
    assert_eq!(
        i64::try_from(lines).unwrap(),
        all + 1,
        "a header line and one line per station"
    );
    assert!(text.starts_with("serial,hostname,site_name,online,"));
    for expected in [
        "ODD1,<script>alert(1)</script>,\"'=HYPERLINK(\"\"http://x\"\")\",true,3,Odd",
        "ODD2,100%_sure,\"'@SUM(A1), \"\"quoted\"\"\",true",
        "ODD3,100 percent,\"'-2+3\",true",
        "ODD4,o'); drop table tarana_base_stations; --,\"two\nlines\",true",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    let serials: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with('M'))
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(serials.len(), 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_listed_by_run_and_by_station() {
    let admin = AdminClient::with_connection().await;
    let first = admin.env.run("first", json!({})).await.metadata.uid.unwrap();
    let path = format!("/api/v1/syncs/{first}/changes");
    let (mut seen, mut query) = (Vec::new(), "?limit=300".to_owned());
    loop {
        let page = admin.get(&admin.viewer, &format!("{path}{query}")).await.json();
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_i64() else { break };
        query = format!("?limit=300&after={next}");
    }
    assert_eq!(seen.len(), 704, "every change once");
    assert!(
        seen.iter()
            .zip(1..)
            .all(|(change, seq)| change["seq"] == seq && change["op"] == "insert")
    );

    admin.env.tcs.drift(1.0);
    let second = admin.env.run("second", json!({})).await.metadata.uid.unwrap();
    let path = format!("/api/v1/syncs/{second}/changes?limit=1000");
    let changed = admin.get(&admin.viewer, &path).await.json();
    let changed = changed["items"].as_array().unwrap();
    let update = changed.iter().find(|change| change["op"] == "update").unwrap();
    let serial = update["serial"].as_str().unwrap();
    let body = admin
        .get(&admin.viewer, &format!("/api/v1/stations/{serial}"))
        .await
        .json();
    assert_eq!(body["station"]["serial"], serial);
    let ops: Vec<_> = body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["op"].as_str().unwrap(), change["run"].as_str().unwrap()))
        .collect();
    assert_eq!(ops, [("update", second.as_str()), ("insert", first.as_str())]);

    let errors = admin
        .get(&admin.viewer, &format!("/api/v1/syncs/{first}/errors"))
        .await
        .json();
    let errors = errors["items"].as_array().unwrap();
    assert_eq!(errors.len(), 14, "the skipped records");
    assert!(
        errors
            .iter()
            .all(|error| error["message"].is_string() && error["timestamp"].is_string())
    );
    for missing in [
        "/api/v1/stations/NONE".to_owned(),
        format!("/api/v1/syncs/{}/changes", uuid::Uuid::new_v4()),
    ] {
        assert_eq!(admin.get(&admin.viewer, &missing).await.status, 404, "{missing}");
        assert!([403, 404].contains(&admin.get(&admin.no_roles, &missing).await.status));
    }
}
