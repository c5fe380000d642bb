//! The CRDs of this version only add to those of the previous release.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::additive::restrictions;
use super::{folder, parse};
use crate::servers;

/// Restrictions that are allowed: kind, text of the restriction, and why nobody notices.
const ALLOWED: [(&str, &str, &str); 0] = [];

async fn crds(path: &str) -> BTreeMap<String, Value> {
    let kubectl = servers::plane().await.kubectl();
    let files = std::fs::read_dir(folder(path)).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut crds = BTreeMap::new();
    for file in files.filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
        for crd in parse(&kubectl, &file).await {
            crds.insert(crd["spec"]["names"]["kind"].as_str().unwrap().to_owned(), crd);
        }
    }
    crds
}

/// What a CRD lacks beside its schema: versions, names, columns, selectable fields.
fn lost(old: &Value, new: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    for field in ["group", "scope", "names"] {
        if old["spec"][field] != new["spec"][field] {
            lost.push(format!(
                "{field} {} became {}",
                old["spec"][field], new["spec"][field]
            ));
        }
    }
    for version in old["spec"]["versions"].as_array().unwrap() {
        let name = &version["name"];
        let versions = new["spec"]["versions"].as_array().unwrap();
        let Some(newer) = versions.iter().find(|v| v["name"] == *name) else {
            lost.push(format!("version {name}"));
            continue;
        };
        if version["served"] == true && newer["served"] != true {
            lost.push(format!("version {name} is not served"));
        }
        if version["subresources"] != newer["subresources"] {
            lost.push(format!("subresources of {name}"));
        }
        for list in ["additionalPrinterColumns", "selectableFields"] {
            let known = newer[list].as_array().cloned().unwrap_or_default();
            for entry in version[list].as_array().into_iter().flatten() {
                let is_same = |new: &Value| {
                    ["name", "type", "jsonPath", "priority"]
                        .iter()
                        .all(|k| new[k] == entry[k])
                };
                if !known.iter().any(is_same) {
                    lost.push(format!("{list} {entry}"));
                }
            }
        }
        let schema = |v: &Value| v["schema"]["openAPIV3Schema"].clone();
        lost.extend(restrictions(&schema(version), &schema(newer)));
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crds_only_add_to_the_previous_ones() {
    let (old, new) = (crds("tests/it/upgrade/previous/crds").await, crds("crds").await);
    assert_eq!(old.len(), 3);
    let mut found = Vec::new();
    for (kind, crd) in &old {
        let new = new.get(kind).unwrap_or_else(|| panic!("{kind} was removed"));
        found.extend(lost(crd, new).into_iter().map(|what| (kind.as_str(), what)));
    }
    found.retain(|(kind, what)| {
        !ALLOWED
            .iter()
            .any(|(k, text, _)| k == kind && what.contains(text))
    });
    assert!(
        found.is_empty(),
        "objects, clients or scripts of the previous release may depend on it: {found:#?}"
    );
}

#[test]
fn what_a_crd_loses_is_found() {
    let crd = |columns: Value, served: bool| {
        json!({"spec": {"group": "g", "scope": "Namespaced", "names": {"kind": "K"}, "versions": [
            {"name": "v1", "served": served, "additionalPrinterColumns": columns, "schema": {"openAPIV3Schema": {}}}]}})
    };
    let column = json!({"name": "A", "type": "string", "jsonPath": ".a"});
    let old = crd(json!([column]), true);
    assert!(lost(&old, &old).is_empty());
    assert_eq!(lost(&old, &crd(json!([]), true)).len(), 1);
    assert_eq!(lost(&old, &crd(json!([column]), false)).len(), 1);
    assert_eq!(lost(&old, &json!({"spec": {"versions": []}})).len(), 4);
}
