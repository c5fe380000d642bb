//! The schemas of the values know exactly the keys of `values.yaml`, and reject all others.

use serde_json::{Value, json};

use super::values_tree::{Entry, entries, is_section, join};
use super::{CHART, CRD_CHART, read, run_helm};

/// Helm passes it to every chart that is a dependency of another one.
const RESERVED: &str = "global";

fn files(chart: &str) -> (Value, Value, Vec<Entry>) {
    let values = read(&format!("{chart}/values.yaml"));
    let schema: Value = serde_json::from_str(&read(&format!("{chart}/values.schema.json"))).unwrap();
    let entries = entries(&values, &schema);
    (serde_saphyr::from_str(&values).unwrap(), schema, entries)
}

/// Differences between a section of the values and its schema.
fn differences(values: &Value, schema: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if schema["additionalProperties"] != json!(false) {
        found.push(format!("the schema of `{path}` permits unknown keys"));
    }
    let known = schema["properties"].as_object().unwrap();
    let values = values.as_object().unwrap();
    for key in values.keys().filter(|key| !known.contains_key(*key)) {
        found.push(format!("the schema lacks {}", join(path, key)));
    }
    for (key, schema) in known.iter().filter(|(key, _)| *key != RESERVED) {
        let path = join(path, key);
        match values.get(key) {
            None => found.push(format!("values.yaml lacks {path}")),
            Some(value) if is_section(schema, &path) => found.extend(differences(value, schema, &path)),
            Some(_) => {}
        }
    }
    found
}

#[test]
fn the_schemas_know_exactly_the_keys_of_the_values() {
    for chart in [CHART, CRD_CHART] {
        let (values, schema, _) = files(chart);
        assert_eq!(differences(&values, &schema, ""), [] as [&str; 0], "{chart}");
    }
    let closed = |properties: Value| json!({"additionalProperties": false, "properties": properties});
    let schema = closed(json!({"a": closed(json!({"b": {}, "c": {}})), "d": {"properties": {}}}));
    let found = differences(&json!({"a": {"b": 1, "x": 1}, "d": {}}), &schema, "");
    let expected = [
        "the schema lacks a.x",
        "values.yaml lacks a.c",
        "the schema of `d` permits unknown keys",
    ];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_rejected_in_every_section() {
    for chart in [CHART, CRD_CHART] {
        let (_, _, entries) = files(chart);
        let sections = entries.iter().filter(|entry| entry.default.is_none());
        let sections: Vec<&str> = std::iter::once("")
            .chain(sections.map(|entry| entry.path.as_str()))
            .collect();
        assert!(chart == CRD_CHART || sections.len() > 20, "{sections:?}");
        for section in sections {
            let unknown = format!("{}=1", join(section, "misspelled"));
            let error = run_helm(&["template", "op", chart, "--set", &unknown])
                .await
                .unwrap_err();
            assert!(error.contains("'misspelled' not allowed"), "{unknown}: {error}");
        }
    }
}
