//! The map of the stations over HTTP: the API, and the page without JavaScript.

use serde_json::{Value, json};

use super::client::AdminClient;
use super::page_client::{Browser, MAP};

/// Three stations at one place and two further ones, of which one has no position.
async fn with_stations() -> AdminClient {
    let admin = AdminClient::with_connection().await;
    let insert = "insert into tarana_base_stations (serial_number, hostname, site_name, lng, lat, market, device_status, azimuth_deg) values
        ('A<1>', 'host', 'Hill & \"Dale\"', 28.05, -26.1, 'East', 1, 0), ('A2', 'host', 'Hill', 28.05, -26.1, 'East', 0, 120),
        ('A3', 'host', 'Hill', 28.05, -26.1, 'East', 1, null), ('B1', 'host', 'Bay', 18.4, -33.9, 'West', 1, 45),
        ('N1', 'host', 'Nowhere', 0, 0, 'West', 1, null)";
    sqlx::query(insert).execute(&admin.env.db).await.unwrap();
    admin
}

async fn map(admin: &AdminClient, query: &str) -> Value {
    let response = admin.get(&admin.viewer, &format!("/api/v1/map{query}")).await;
    assert_eq!(response.status, 200, "{query}: {response:?}");
    response.json()
}

fn serials(map: &Value) -> Vec<&str> {
    let stations = map["stations"].as_array().unwrap();
    stations
        .iter()
        .map(|station| station["serial"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_returns_the_stations_of_an_area() {
    let admin = with_stations().await;
    let all = map(&admin, "").await;
    assert_eq!(serials(&all), ["A2", "A3", "A<1>", "B1"]);
    assert_eq!(
        all["stations"][0],
        json!({"serial": "A2", "siteName": "Hill", "hostname": "host", "online": false, "azimuthDeg": 120.0, "lat": -26.1, "lng": 28.05})
    );
    assert_eq!(all["stations"][1].get("azimuthDeg"), None);
    assert_eq!(
        all["extent"],
        json!({"stations": 5, "withoutPosition": 1, "bbox": [18.4, -33.9, 28.05, -26.1]})
    );
    assert_eq!(all["trueAsOf"], Value::Null);
    let grouped = map(&admin, "?zoom=0").await;
    assert_eq!(serials(&grouped), [""; 0]);
    let group = &grouped["groups"][0];
    assert_eq!((&group["stations"], &group["online"]), (&json!(4), &json!(3)));
    let west = map(&admin, "?bbox=10,-40,20,-30&zoom=5").await;
    assert_eq!((serials(&west), west.get("extent")), (vec!["B1"], None));
    assert_eq!(
        serials(&map(&admin, "?online=false&search=a&zoom=18").await),
        ["A2"]
    );
    let nothing = map(&admin, "?market=North").await;
    assert_eq!(
        nothing["extent"],
        json!({"stations": 0, "withoutPosition": 0}),
        "{nothing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_rejects_what_is_no_area() {
    let admin = AdminClient::with_connection().await;
    for query in [
        "zoom=19",
        "zoom=-1",
        "bbox=1,2,3",
        "bbox=0,0,NaN,1",
        "bbox=0,1,1,0",
        "search=%00",
        "limit=1",
        "namespace=",
    ] {
        let response = admin.get(&admin.viewer, &format!("/api/v1/map?{query}")).await;
        assert_eq!(response.status, 400, "{query}: {response:?}");
    }
    let denied = admin.get(&admin.no_roles, "/api/v1/map").await;
    assert_eq!(denied.status, 403, "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_draws_the_stations_of_the_filters() {
    let admin = with_stations().await;
    let browser = Browser::signed_in(&admin, &admin.viewer).await;
    let page = browser.get(MAP).await;
    assert_eq!(page.status, 200, "{page:?}");
    let links = |text: &str| text.matches("<a href=\"/admin/coverage/base-stations/").count();
    assert_eq!(links(&page.text), 4);
    for text in [
        "<b>5</b> stations · 1 without a position is not on the map",
        "#land\"",
        "aria-label=\"A&#60;1&#62;, Hill &#38; &#34;Dale&#34;, online\"",
        "href=\"/admin/coverage/base-stations/A%3C1%3E\"",
        "data-bbox=\"18.4,-33.9,28.05,-26.1\"",
        "class=\"map-station map-offline\"",
    ] {
        assert!(page.text.contains(text), "{text}: {page:?}");
    }
    let policy = page.header("content-security-policy");
    assert!(!policy.contains("unsafe"), "{policy}");

    let east = browser.get(&format!("{MAP}?market=East&online=true")).await.text;
    assert_eq!(links(&east), 2);
    let query = "?market=East&#38;online=true";
    for text in [
        format!("/admin/coverage/base-stations/A3{query}"),
        format!("href=\"/admin/coverage/base-stations{query}\">Show these stations as a table"),
        format!("data-area=\"/api/v1/map{query}\""),
        "<option value=\"East\" selected>".to_owned(),
    ] {
        assert!(east.contains(&text), "{text}: {east}");
    }
    let table = browser
        .get("/admin/coverage/base-stations?market=East&online=true&offset=50")
        .await
        .text;
    assert!(table.contains(&format!("href=\"{MAP}{query}\"")), "{table}");

    let group = browser.get(&format!("{MAP}?zoom=1&lat=0&lng=0")).await.text;
    assert!(
        group.contains("aria-label=\"4 stations, 3 online: zoom in\""),
        "{group}"
    );
    assert!(!group.contains("data-bbox"), "the view of the address is kept");
    for invalid in ["zoom=19&lat=0&lng=0", "zoom=1&lat=NaN&lng=0", "lat=1", "offset=0"] {
        assert_eq!(
            browser.get(&format!("{MAP}?{invalid}")).await.status,
            400,
            "{invalid}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_map_is_explained() {
    let admin = AdminClient::with_connection().await;
    let browser = Browser::signed_in(&admin, &admin.viewer).await;
    let page = browser.get(MAP).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.contains("The table has no stations yet"), "{page:?}");
    assert!(page.text.contains("data-zoom=\"1\""), "{page:?}");
}
