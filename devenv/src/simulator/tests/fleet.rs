use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::simulator::fleet::Fleet;
use crate::simulator::{Device, DeviceKind, FleetConfig};

fn fleet(seed: u64) -> Fleet {
    Fleet::new(seed, 219, &FleetConfig::default())
}

fn texts(fleet: &Fleet) -> Vec<String> {
    fleet
        .devices()
        .iter()
        .map(|device| device.raw.to_string())
        .collect()
}

fn base_nodes(fleet: &Fleet) -> Vec<Value> {
    fleet
        .devices()
        .iter()
        .filter(|device| device.kind == DeviceKind::BaseNode)
        .map(|device| device.value().unwrap())
        .collect()
}

#[test]
fn a_seed_determines_the_fleet_and_its_changes() {
    let (mut one, mut two) = (fleet(7), fleet(7));
    assert_eq!(texts(&one), texts(&two));
    assert_ne!(texts(&one), texts(&fleet(8)));
    for _ in 0..3 {
        assert_eq!(one.drift(0.1), two.drift(0.1));
        assert_eq!(one.vanish(3), two.vanish(3));
        assert_eq!(one.add(2), two.add(2));
    }
    assert_eq!(texts(&one), texts(&two));
}

#[test]
fn the_fleet_has_realistic_proportions() {
    let fleet = fleet(1);
    let nodes = base_nodes(&fleet);
    assert_eq!(nodes.len(), 718);
    let is = |path: &str, what: &dyn Fn(&Value) -> bool| {
        nodes
            .iter()
            .filter(|node| node.pointer(path).is_some_and(what))
            .count()
    };
    assert_eq!(is("/connected", &|on| on == false), 30);
    assert_eq!(
        nodes
            .iter()
            .filter(|node| node.get("connected").is_none())
            .count(),
        2
    );
    assert_eq!(
        nodes.iter().filter(|node| node.get("ancestry").is_none()).count(),
        3
    );
    let null = is("/installParams/latitude", &Value::is_null);
    let zero = is("/installParams/latitude", &|at| *at == 0);
    let absent = nodes
        .iter()
        .filter(|node| node["installParams"].get("latitude").is_none())
        .count();
    assert_eq!(null + zero + absent, 14);
    assert!(null > 0 && zero > 0 && absent > 0);
    let markets: BTreeSet<_> = nodes
        .iter()
        .filter_map(|node| node["ancestry"]["market"]["name"].as_str())
        .collect();
    assert_eq!(markets.len(), 8, "seven and the training region's: {markets:?}");
    let diagonal = is("/installParams/antennaAzimuth", &|at| {
        [45.0, 135.0, 225.0, 315.0].contains(&at.as_f64().unwrap())
    });
    assert!(diagonal > 718 * 8 / 10, "{diagonal}");
}

#[test]
fn sites_have_one_to_four_nodes_at_slightly_different_positions() {
    let mut sites: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
    for node in base_nodes(&fleet(1)) {
        let Some(site) = node["ancestry"]["site"]["id"].as_i64() else {
            continue;
        };
        let place = &node["installParams"];
        let at = place["latitude"]
            .as_f64()
            .zip(place["longitude"].as_f64())
            .filter(|at| at.0 != 0.0);
        sites.entry(site).or_default().extend(at);
        if let Some((latitude, longitude)) = at {
            assert!(
                (-34.4..=-22.9).contains(&latitude) && (16.9..=32.1).contains(&longitude),
                "{node}"
            );
        }
    }
    assert!((370..=390).contains(&sites.len()), "{}", sites.len());
    assert!(sites.values().all(|nodes| nodes.len() <= 4));
    let shared: Vec<_> = sites.values().filter(|nodes| nodes.len() > 1).collect();
    assert!(shared.len() > 100);
    for nodes in shared {
        for pair in nodes.windows(2) {
            let apart = (pair[0].0 - pair[1].0).abs() + (pair[0].1 - pair[1].1).abs();
            assert!(apart > 0.0 && apart < 0.001, "{pair:?}");
        }
    }
}

#[test]
fn remote_nodes_are_connected_to_existing_base_nodes() {
    let fleet = fleet(1);
    let masters: BTreeSet<_> = fleet
        .devices()
        .iter()
        .filter(|device| device.kind == DeviceKind::BaseNode)
        .map(|device| &*device.serial)
        .collect();
    let remotes: Vec<&Device> = fleet
        .devices()
        .iter()
        .filter(|device| device.kind == DeviceKind::RemoteNode)
        .collect();
    assert_eq!(remotes.len(), 40);
    for device in remotes {
        let value = device.value().unwrap();
        assert!(masters.contains(value["masterSerial"].as_str().unwrap()));
        assert_ne!(device.region, 1079);
    }
}

#[test]
fn a_drift_reports_its_changes() {
    let mut fleet = fleet(1);
    let before: BTreeMap<_, _> = fleet
        .devices()
        .iter()
        .map(|device| (device.serial.to_string(), device.raw.clone()))
        .collect();
    let drift = fleet.drift(0.1);
    let after: BTreeMap<_, _> = fleet
        .devices()
        .iter()
        .map(|device| (device.serial.to_string(), device.raw.clone()))
        .collect();
    assert_eq!(drift.changed.len() + drift.added.len() + drift.removed.len(), 72);
    assert!(!drift.added.is_empty() && !drift.removed.is_empty());
    let sorted = |mut serials: Vec<String>| {
        serials.sort();
        serials
    };
    let differ = |(serial, raw): (&String, _)| {
        before
            .get(serial)
            .is_some_and(|was| was != raw)
            .then(|| serial.clone())
    };
    assert_eq!(
        after.iter().filter_map(differ).collect::<Vec<_>>(),
        sorted(drift.changed)
    );
    assert_eq!(
        after
            .keys()
            .filter(|one| !before.contains_key(*one))
            .cloned()
            .collect::<Vec<_>>(),
        sorted(drift.added)
    );
    assert_eq!(
        before
            .keys()
            .filter(|one| !after.contains_key(*one))
            .cloned()
            .collect::<Vec<_>>(),
        sorted(drift.removed)
    );
    assert_eq!(fleet.drift(0.0), crate::simulator::Drift::default());
}

#[test]
fn a_device_can_be_changed_duplicated_broken_and_removed() {
    let mut fleet = fleet(1);
    let serial = fleet.devices()[3].serial.to_string();
    assert!(fleet.edit(&serial, |device| device["band"] = "6ghz".into()));
    assert_eq!(fleet.devices()[3].value().unwrap()["band"], "6ghz");
    assert!(fleet.duplicate(&serial, |device| device["band"] = "5ghz".into()));
    assert_eq!(
        fleet
            .devices()
            .iter()
            .filter(|device| *device.serial == *serial)
            .count(),
        2
    );
    assert!(fleet.put_raw(&serial, "not json"));
    assert!(fleet.devices()[3].value().is_err());
    assert!(fleet.remove(&serial));
    assert!(!fleet.edit(&serial, |_| {}) && !fleet.remove(&serial));
}
