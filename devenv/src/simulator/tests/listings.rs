use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DEVICES, HIERARCHY, Portal, RADIOS, REGIONS, SEARCH, send, serials};
use crate::simulator::{Config, DeviceKind, FleetConfig};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

#[tokio::test]
async fn a_region_search_has_the_list_envelope() {
    let portal = Portal::logged_in(Config::default()).await;
    let (status, body) = send(portal.search(0, 5)).await;
    assert_eq!(status, 200);
    assert_eq!(keys(&body), set(&["data", "error"]));
    assert!(body["error"].is_null());
    assert_eq!(
        keys(&body["data"]),
        set(&["items", "count", "offset", "totalCount"])
    );
    assert_eq!(
        (&body["data"]["count"], &body["data"]["offset"]),
        (&json!(5), &json!(0))
    );
}

#[tokio::test]
async fn a_device_has_all_known_and_many_unknown_fields() {
    let portal = Portal::logged_in(Config::default()).await;
    let (_, body) = send(portal.search(0, 5)).await;
    let device = body["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["ancestry"].is_object())
        .unwrap();
    let known = [
        "id",
        "serialNumber",
        "type",
        "hostName",
        "linkState",
        "band",
        "softwareVersion",
        "lastUpdateTimeSeconds",
        "retailerId",
        "installParams",
        "carriers",
        "ancestry",
    ];
    assert!(keys(device).is_superset(&set(&known)), "{device}");
    assert!(
        keys(device).len() > 300,
        "the first device has many fields: {}",
        keys(device).len()
    );
    let params = [
        "latitude",
        "longitude",
        "height",
        "heightAgl",
        "antennaAzimuth",
        "tilt",
    ];
    assert_eq!(keys(&device["installParams"]), set(&params));
    assert_eq!(
        keys(&device["carriers"]["0"]),
        set(&["frequency", "channelWidth", "enabled", "txPower"])
    );
    let levels = [
        "operator",
        "region",
        "market",
        "site",
        "cell",
        "cellDetails",
        "sector",
        "sectorDetails",
    ];
    assert_eq!(keys(&device["ancestry"]), set(&levels));
    assert!(
        device["ancestry"]["cell"]["name"].is_i64() && device["ancestry"]["cellDetails"]["name"].is_string()
    );
    assert_eq!(device["ancestry"]["region"]["name"], "South Africa");
    assert_eq!(device["serialNumber"].as_str().unwrap().len(), 15);
}

#[tokio::test]
async fn pages_add_up_to_the_fleet_and_are_capped() {
    let portal = Portal::logged_in(Config {
        page_cap: 100,
        ..Config::default()
    })
    .await;
    let mut seen = Vec::new();
    loop {
        let (_, body) = send(portal.search(seen.len(), 5000)).await;
        let page = serials(&body["data"]["items"]);
        assert!(page.len() <= 100);
        assert_eq!(body["data"]["count"], page.len());
        seen.extend(page);
        if body["data"]["totalCount"] == seen.len() {
            break;
        }
    }
    let expected = portal
        .sim
        .base_nodes()
        .into_iter()
        .filter(|device| device.region == 1073);
    assert_eq!(
        seen,
        expected
            .map(|device| device.serial.to_string())
            .collect::<Vec<_>>()
    );
    let (_, beyond) = send(portal.search(9999, 10)).await;
    assert_eq!(
        (&beyond["data"]["items"], &beyond["data"]["count"]),
        (&json!([]), &json!(0))
    );
}

#[tokio::test]
async fn an_empty_filter_returns_both_kinds() {
    let portal = Portal::logged_in(Config::default()).await;
    let all = json!({"ids": [1073, 1074, 1075, 1079], "deviceFilter": {}});
    let (_, body) = send(portal.post(&format!("{SEARCH}?offset=0&count=5000"), &all)).await;
    assert_eq!(body["data"]["totalCount"], 758);
    let items = body["data"]["items"].as_array().unwrap();
    let remote = items.iter().find(|item| item["type"] == "RN").unwrap();
    assert!(serials(&body["data"]["items"]).contains(&remote["masterSerial"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn bad_requests_get_the_error_envelope_of_their_api_family() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let good = json!({"ids": [1073], "deviceFilter": {}});
    let page = format!("{SEARCH}?offset=0&count=10");
    for (path, body, status) in [
        (SEARCH, good.clone(), 400),
        (&format!("{SEARCH}?offset=0&count=0"), good.clone(), 400),
        (&page, json!({"ids": [], "deviceFilter": {}}), 400),
        (&page, json!({"ids": [1073]}), 400),
        (&page, json!({"ids": [1073], "deviceFilter": {"type": "XX"}}), 400),
        (
            &page,
            json!({"ids": [1073], "deviceFilter": {"colour": "red"}}),
            400,
        ),
        (&page, json!({"ids": [7], "deviceFilter": {}}), 404),
    ] {
        let (got, response) = send(portal.post(path, &body)).await;
        assert_eq!(got, status, "{path} {body}");
        assert!(response["data"].is_null());
        assert_eq!(keys(&response["error"]), set(&["code", "message", "status"]));
        assert_eq!(response["error"]["code"], status);
    }
    assert_eq!(send(portal.get(REGIONS)).await.0, 400);
    let (status, response) = send(portal.post(RADIOS, &json!({"query": {"deviceType": "BN"}}))).await;
    assert_eq!(
        (status, &response["success"], &response["error"]["code"]),
        (400, &json!(false), &json!("INVALID_FILTER"))
    );
}

#[tokio::test]
async fn regions_are_paged_and_the_nqs_endpoint_omits_some() {
    let portal = Portal::logged_in(Config::with_base_nodes(4)).await;
    let (_, body) = send(portal.get(&format!("{REGIONS}?offset=1&count=2"))).await;
    assert_eq!(body["data"]["totalCount"], 4);
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(body["data"]["items"][0]["operatorId"], 219);
    let (_, body) = send(portal.get(&format!("{REGIONS}?offset=0&count=1000"))).await;
    let names: Vec<_> = body["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(names, ["South Africa", "Western Cape", "Lowveld", "Training"]);
    let (_, sister) = send(portal.get("/api/nqs/v1/operators/219/regions?offset=0&count=1000")).await;
    assert!(sister["data"]["items"].as_array().unwrap().len() < names.len());
}

#[tokio::test]
async fn the_operator_list_mixes_kinds_and_has_ten_rows_by_default() {
    let portal = Portal::logged_in(Config::default()).await;
    let (_, body) = send(portal.get(&format!("{DEVICES}?offset=0&limit=500&type=BN"))).await;
    assert_eq!(
        body["data"]["items"].as_array().unwrap().len(),
        10,
        "limit is ignored"
    );
    let (_, body) = send(portal.get(&format!("{DEVICES}?offset=0&count=1000&type=BN"))).await;
    assert_eq!(body["data"]["totalCount"], 758, "and so is type");
    let listed = serials(&body["data"]["items"]);
    let expected: Vec<String> = portal
        .sim
        .devices()
        .iter()
        .map(|device| device.serial.to_string())
        .collect();
    assert_ne!(listed, expected, "the order is random");
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    portal
        .sim
        .edit(&expected[0], |device| device["hostName"] = json!("renamed"));
    let (_, again) = send(portal.get(&format!("{DEVICES}?offset=0&count=1000"))).await;
    assert_ne!(
        serials(&again["data"]["items"]),
        listed,
        "the order changes with the fleet"
    );

    let portal = Portal::logged_in(Config {
        honour_count: false,
        honour_type: true,
        ..Config::default()
    })
    .await;
    let (_, body) = send(portal.get(&format!("{DEVICES}?offset=0&count=1000&type=BN"))).await;
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 10);
    assert_eq!(body["data"]["totalCount"], 718);
}

#[tokio::test]
async fn radios_use_tmq_and_the_hierarchy_contains_their_names() {
    let portal = Portal::logged_in(Config::default()).await;
    let (_, body) = send(portal.radios(0, 5000)).await;
    assert_eq!(keys(&body), set(&["version", "name", "data"]));
    assert_eq!(
        keys(&body["data"]),
        set(&["deviceType", "devices"]),
        "there is no total"
    );
    let expected = portal
        .sim
        .base_nodes()
        .into_iter()
        .filter(|device| device.region == 1073)
        .count();
    let radios = body["data"]["devices"].as_array().unwrap();
    assert_eq!(radios.len(), expected);
    let radio = radios
        .iter()
        .find(|one| one["siteId"].is_string() && one["fields"]["deviceStatus"] == 1)
        .unwrap();
    let ids = ["regionId", "marketId", "siteId", "cellId", "sectorId"];
    assert!(
        keys(radio).is_superset(&set(&ids)) && keys(radio).len() == 8,
        "{radio}"
    );
    assert!(radio["fields"]["/system/install/state/height"].is_f64());

    let (_, tree) = send(portal.get(HIERARCHY)).await;
    let mut branch = &tree["data"];
    for (level, id) in ["regions", "markets", "sites", "cells", "sectors"]
        .iter()
        .zip(ids)
    {
        let found = branch[level]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| Some(one["id"].to_string().as_str()) == radio[id].as_str());
        branch = found.unwrap();
        assert!(branch["name"].is_string());
    }
    assert_eq!(branch["name"], radio["fields"]["/system/state/hostname"]);
}

#[tokio::test]
async fn the_fleet_size_is_configurable() {
    let fleet = FleetConfig {
        base_nodes: 20_000,
        remote_nodes: 0,
        ..FleetConfig::default()
    };
    let portal = Portal::logged_in(Config {
        fleet,
        ..Config::default()
    })
    .await;
    assert_eq!(portal.sim.base_nodes().len(), 20_000);
    let unique: BTreeSet<_> = portal
        .sim
        .devices()
        .into_iter()
        .map(|device| device.serial)
        .collect();
    assert_eq!(unique.len(), 20_000);
    assert!(
        portal
            .sim
            .devices()
            .iter()
            .all(|device| device.kind == DeviceKind::BaseNode)
    );
    let (_, body) = send(portal.search(5000, 1000)).await;
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 1000);
}
