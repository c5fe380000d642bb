//! Pure: the network hierarchy `region > market > site > cell > sector`, derived from the devices' ancestries.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Device;

/// One level of the tree: children by id.
#[derive(Default)]
struct Branch {
    name: Value,
    children: BTreeMap<i64, Branch>,
}

/// The key under which each level lists its children.
const LEVELS: [&str; 5] = ["regions", "markets", "sites", "cells", "sectors"];

/// The path of a device; `None` without ancestry.
fn path(ancestry: &Value) -> Option<[(i64, Value); 5]> {
    let step = |id: &str, name: &str| Some((ancestry[id]["id"].as_i64()?, ancestry[name]["name"].clone()));
    Some([
        step("region", "region")?,
        step("market", "market")?,
        step("site", "site")?,
        step("cell", "cellDetails")?,
        step("sector", "sectorDetails")?,
    ])
}

impl Branch {
    fn write(&self, level: usize) -> Map<String, Value> {
        let mut object = Map::new();
        if let Some(plural) = LEVELS.get(level) {
            let children = self.children.iter().map(|(id, child)| {
                let mut item = child.write(level + 1);
                item.insert("id".to_owned(), json!(id));
                item.insert("name".to_owned(), child.name.clone());
                Value::Object(item)
            });
            object.insert((*plural).to_owned(), children.collect());
        }
        object
    }
}

/// The `data` of `GET …/network-hierarchy`.
pub(in crate::simulator) fn network_hierarchy(operator: i64, devices: &[Device]) -> Value {
    let mut root = Branch::default();
    for device in devices {
        let Some(path) = device.value().ok().and_then(|value| path(&value["ancestry"])) else {
            continue;
        };
        let mut branch = &mut root;
        for (id, name) in path {
            branch = branch.children.entry(id).or_default();
            branch.name = name;
        }
    }
    let mut tree = root.write(0);
    tree.insert("id".to_owned(), json!(operator));
    tree.insert("name".to_owned(), json!("OPCO"));
    Value::Object(tree)
}
