use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DEVICES, HIERARCHY, Portal, RADIOS, REGIONS, SEARCH, serials, told};
use crate::simulator::{Config, FleetConfig, Kind};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

#[tokio::test]
async fn a_region_search_has_the_list_envelope() {
    let portal = Portal::open(Config::default()).await;
    let (status, body) = told(portal.search(0, 5)).await;
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
async fn a_device_is_whole_and_says_more_than_anyone_asked() {
    let portal = Portal::open(Config::default()).await;
    let (_, body) = told(portal.search(0, 5)).await;
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
        "the first device says a great deal: {}",
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
async fn pages_add_up_to_the_truth_and_the_server_caps_them() {
    let portal = Portal::open(Config {
        page_cap: 100,
        ..Config::default()
    })
    .await;
    let mut seen = Vec::new();
    loop {
        let (_, body) = told(portal.search(seen.len(), 5000)).await;
        let page = serials(&body["data"]["items"]);
        assert!(page.len() <= 100);
        assert_eq!(body["data"]["count"], page.len());
        seen.extend(page);
        if body["data"]["totalCount"] == seen.len() {
            break;
        }
    }
    let truth = portal
        .sim
        .base_nodes()
        .into_iter()
        .filter(|row| row.region == 1073);
    assert_eq!(seen, truth.map(|row| row.serial.to_string()).collect::<Vec<_>>());
    let (_, beyond) = told(portal.search(9999, 10)).await;
    assert_eq!(
        (&beyond["data"]["items"], &beyond["data"]["count"]),
        (&json!([]), &json!(0))
    );
}

#[tokio::test]
async fn an_empty_filter_brings_both_kinds() {
    let portal = Portal::open(Config::default()).await;
    let all = json!({"ids": [1073, 1074, 1075, 1079], "deviceFilter": {}});
    let (_, body) = told(portal.post(&format!("{SEARCH}?offset=0&count=5000"), &all)).await;
    assert_eq!(body["data"]["totalCount"], 758);
    let items = body["data"]["items"].as_array().unwrap();
    let remote = items.iter().find(|item| item["type"] == "RN").unwrap();
    assert!(serials(&body["data"]["items"]).contains(&remote["masterSerial"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn bad_questions_get_the_error_envelope_of_their_family() {
    let portal = Portal::open(Config::of(4)).await;
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
        let (got, answer) = told(portal.post(path, &body)).await;
        assert_eq!(got, status, "{path} {body}");
        assert!(answer["data"].is_null());
        assert_eq!(keys(&answer["error"]), set(&["code", "message", "status"]));
        assert_eq!(answer["error"]["code"], status);
    }
    assert_eq!(told(portal.get(REGIONS)).await.0, 400);
    let (status, answer) = told(portal.post(RADIOS, &json!({"query": {"deviceType": "BN"}}))).await;
    assert_eq!(
        (status, &answer["success"], &answer["error"]["code"]),
        (400, &json!(false), &json!("INVALID_FILTER"))
    );
}

#[tokio::test]
async fn regions_come_in_pages_and_the_sister_omits_some() {
    let portal = Portal::open(Config::of(4)).await;
    let (_, body) = told(portal.get(&format!("{REGIONS}?offset=1&count=2"))).await;
    assert_eq!(body["data"]["totalCount"], 4);
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(body["data"]["items"][0]["operatorId"], 219);
    let (_, body) = told(portal.get(&format!("{REGIONS}?offset=0&count=1000"))).await;
    let names: Vec<_> = body["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(names, ["South Africa", "Western Cape", "Lowveld", "Training"]);
    let (_, sister) = told(portal.get("/api/nqs/v1/operators/219/regions?offset=0&count=1000")).await;
    assert!(sister["data"]["items"].as_array().unwrap().len() < names.len());
}

#[tokio::test]
async fn the_operator_list_is_mixed_and_goes_by_ten_unless_told() {
    let portal = Portal::open(Config::default()).await;
    let (_, body) = told(portal.get(&format!("{DEVICES}?offset=0&limit=500&type=BN"))).await;
    assert_eq!(
        body["data"]["items"].as_array().unwrap().len(),
        10,
        "limit is ignored"
    );
    let (_, body) = told(portal.get(&format!("{DEVICES}?offset=0&count=1000&type=BN"))).await;
    assert_eq!(body["data"]["totalCount"], 758, "and so is type");
    let listed = serials(&body["data"]["items"]);
    let truth: Vec<String> = portal
        .sim
        .truth()
        .iter()
        .map(|row| row.serial.to_string())
        .collect();
    assert_ne!(listed, truth, "in no order");
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), truth.iter().collect());
    portal
        .sim
        .edit(&truth[0], |device| device["hostName"] = json!("renamed"));
    let (_, again) = told(portal.get(&format!("{DEVICES}?offset=0&count=1000"))).await;
    assert_ne!(
        serials(&again["data"]["items"]),
        listed,
        "another order once the fleet has changed"
    );

    let portal = Portal::open(Config {
        honour_count: false,
        honour_type: true,
        ..Config::default()
    })
    .await;
    let (_, body) = told(portal.get(&format!("{DEVICES}?offset=0&count=1000&type=BN"))).await;
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 10);
    assert_eq!(body["data"]["totalCount"], 718);
}

#[tokio::test]
async fn radios_speak_tmq_and_the_hierarchy_knows_their_names() {
    let portal = Portal::open(Config::default()).await;
    let (_, body) = told(portal.radios(0, 5000)).await;
    assert_eq!(keys(&body), set(&["version", "name", "data"]));
    assert_eq!(
        keys(&body["data"]),
        set(&["deviceType", "devices"]),
        "there is no total"
    );
    let truth = portal
        .sim
        .base_nodes()
        .into_iter()
        .filter(|row| row.region == 1073)
        .count();
    let radios = body["data"]["devices"].as_array().unwrap();
    assert_eq!(radios.len(), truth);
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

    let (_, tree) = told(portal.get(HIERARCHY)).await;
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
async fn any_number_of_devices_is_there_on_demand() {
    let fleet = FleetConfig {
        base_nodes: 20_000,
        remote_nodes: 0,
        ..FleetConfig::default()
    };
    let portal = Portal::open(Config {
        fleet,
        ..Config::default()
    })
    .await;
    assert_eq!(portal.sim.base_nodes().len(), 20_000);
    let unique: BTreeSet<_> = portal.sim.truth().into_iter().map(|row| row.serial).collect();
    assert_eq!(unique.len(), 20_000);
    assert!(portal.sim.truth().iter().all(|row| row.kind == Kind::BaseNode));
    let (_, body) = told(portal.search(5000, 1000)).await;
    assert_eq!(body["data"]["items"].as_array().unwrap().len(), 1000);
}
