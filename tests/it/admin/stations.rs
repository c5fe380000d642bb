//! Stations over HTTP, with whatever may stand in their fields.

use serde_json::{Value, json};

use super::desk::{Answer, Desk};

const ODD: [(&str, &str, &str); 4] = [
    ("ODD1", "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")"),
    ("ODD2", "100%_sure", "@SUM(A1), \"quoted\""),
    ("ODD3", "100 percent", "-2+3"),
    ("ODD4", "o'); drop table tarana_base_stations; --", "two\nlines"),
];

async fn with_odd_rows() -> Desk {
    let desk = Desk::open().await;
    desk.w.run("first", json!({})).await;
    for (serial, hostname, site) in ODD {
        let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng, market, device_status, active_connections)
                      values ($1, $2, $3, -30, 25, 'Odd', 1, 3)";
        let insert = sqlx::query(insert).bind(serial).bind(hostname).bind(site);
        insert.execute(&desk.w.db).await.unwrap();
    }
    desk
}

async fn list(desk: &Desk, query: &str) -> Value {
    let answer = desk.get(&desk.viewer, &format!("/api/v1/stations?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
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
async fn they_are_searched_and_sorted() {
    let desk = with_odd_rows().await;
    let all = desk.w.number("select count(*) from tarana_base_stations").await;
    let page = list(&desk, "limit=10").await;
    assert_eq!((page["total"].as_i64(), serials(&page).len()), (Some(all), 10));
    // What is searched for is text, not a pattern and not SQL.
    assert_eq!(serials(&list(&desk, "search=100%25").await), ["ODD2"]);
    assert_eq!(serials(&list(&desk, "search=%25_").await), ["ODD2"]);
    assert_eq!(serials(&list(&desk, "search=%3CSCRIPT").await), ["ODD1"]);
    assert_eq!(serials(&list(&desk, "search=o%27)%3B%20drop").await), ["ODD4"]);
    assert_eq!(list(&desk, "search=%5C").await["total"], 0);
    assert_eq!(
        serials(&list(&desk, "market=Odd&sort=hostname&order=descending").await).len(),
        4
    );
    let (first, second) = (
        list(&desk, "market=Odd&limit=3").await,
        list(&desk, "market=Odd&limit=3&offset=3").await,
    );
    assert_eq!(
        (serials(&first), serials(&second)),
        (vec!["ODD1", "ODD2", "ODD3"], vec!["ODD4"])
    );
    let offline = desk
        .w
        .number("select count(*) from tarana_base_stations where device_status is distinct from 1")
        .await;
    assert_eq!(list(&desk, "online=false").await["total"], offline);
    for sort in [
        "serial",
        "hostname",
        "siteName",
        "market",
        "region",
        "online",
        "activeConnections",
        "lastUpdated",
    ] {
        assert_eq!(
            list(&desk, &format!("sort={sort}&limit=1")).await["total"],
            all,
            "{sort}"
        );
    }
    for wrong in [
        "sort=id",
        "sort=serial_number%3B",
        "order=up",
        "limit=0",
        "limit=1001",
        "offset=-1",
        "online=1",
        "search=%00",
        "x=1",
    ] {
        let answer = desk.get(&desk.viewer, &format!("/api/v1/stations?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_counted_by_market() {
    let desk = with_odd_rows().await;
    let all = desk.w.number("select count(*) from tarana_base_stations").await;
    let summary = desk.get(&desk.viewer, "/api/v1/summary").await.json();
    assert_eq!(summary["all"]["stations"], all);
    let markets = summary["markets"].as_array().unwrap();
    let odd = markets.iter().find(|market| market["market"] == "Odd").unwrap();
    assert_eq!(
        (&odd["stations"], &odd["online"], &odd["activeConnections"]),
        (&json!(4), &json!(4), &json!(12))
    );
    let sum: i64 = markets
        .iter()
        .map(|market| market["stations"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_holds_all_of_them_and_no_formula() {
    let desk = with_odd_rows().await;
    // More than one piece of it.
    let many = "insert into tarana_base_stations (serial_number, hostname, site_name, lat, lng)
                select 'M' || n, 'h', 's', 0, 0 from generate_series(1, 5000) n";
    sqlx::query(many).execute(&desk.w.db).await.unwrap();
    let Answer {
        status,
        headers,
        text,
    } = desk.get(&desk.viewer, "/api/v1/stations.csv").await;
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
    let all = desk.w.number("select count(*) from tarana_base_stations").await;
    let lines = text.matches("\r\n").count();
    assert_eq!(
        i64::try_from(lines).unwrap(),
        all + 1,
        "a line of names, and one for each"
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
async fn what_a_run_changed_and_what_happened_to_a_station_is_told() {
    let desk = Desk::open().await;
    let first = desk.w.run("first", json!({})).await.metadata.uid.unwrap();
    let path = format!("/api/v1/syncs/{first}/changes");
    let (mut seen, mut query) = (Vec::new(), "?limit=300".to_owned());
    loop {
        let page = desk.get(&desk.viewer, &format!("{path}{query}")).await.json();
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_i64() else { break };
        query = format!("?limit=300&after={next}");
    }
    assert_eq!(seen.len(), 704, "each once");
    assert!(
        seen.iter()
            .zip(1..)
            .all(|(change, seq)| change["seq"] == seq && change["op"] == "insert")
    );

    desk.w.tcs.drift(1.0);
    let second = desk.w.run("second", json!({})).await.metadata.uid.unwrap();
    let path = format!("/api/v1/syncs/{second}/changes?limit=1000");
    let changed = desk.get(&desk.viewer, &path).await.json();
    let changed = changed["items"].as_array().unwrap();
    let update = changed.iter().find(|change| change["op"] == "update").unwrap();
    let serial = update["serial"].as_str().unwrap();
    let told = desk
        .get(&desk.viewer, &format!("/api/v1/stations/{serial}"))
        .await
        .json();
    assert_eq!(told["station"]["serial"], serial);
    let ops: Vec<_> = told["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["op"].as_str().unwrap(), change["run"].as_str().unwrap()))
        .collect();
    assert_eq!(ops, [("update", second.as_str()), ("insert", first.as_str())]);

    let errors = desk
        .get(&desk.viewer, &format!("/api/v1/syncs/{first}/errors"))
        .await
        .json();
    let errors = errors["items"].as_array().unwrap();
    assert_eq!(errors.len(), 14, "the records that were skipped");
    assert!(
        errors
            .iter()
            .all(|error| error["message"].is_string() && error["timestamp"].is_string())
    );
    for missing in [
        "/api/v1/stations/NONE".to_owned(),
        format!("/api/v1/syncs/{}/changes", uuid::Uuid::new_v4()),
    ] {
        assert_eq!(desk.get(&desk.viewer, &missing).await.status, 404, "{missing}");
        assert!([403, 404].contains(&desk.get(&desk.nobody, &missing).await.status));
    }
}
