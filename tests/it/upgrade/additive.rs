//! What a new version of a schema takes away from the old one: a pure comparison of two `OpenAPI` schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Keywords for which a larger value is tighter, and those for which a smaller one is. A keyword that the old schema lacks is tighter too.
const LOWER_BOUNDS: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
const UPPER_BOUNDS: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
/// Keywords whose value must stay, and which must not be added.
const FIXED: [&str; 12] = [
    "type",
    "format",
    "pattern",
    "default",
    "not",
    "multipleOf",
    "uniqueItems",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "exclusiveMinimum",
    "exclusiveMaximum",
];
/// Keywords that permit something and must not be removed.
const PERMISSIONS: [&str; 2] = ["nullable", "x-kubernetes-preserve-unknown-fields"];

/// What `new` accepts no longer, or interprets in another way, each with its path.
pub fn restrictions(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(old, new, "", &mut found);
    found
}

fn compare(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    let mut report = |what: String| found.push(format!("{path}: {what}"));
    for keyword in FIXED {
        if old[keyword] != new[keyword] {
            report(format!("{keyword} {} became {}", old[keyword], new[keyword]));
        }
    }
    for keyword in PERMISSIONS {
        if old[keyword] == true && new[keyword] != true {
            report(format!("{keyword} was removed"));
        }
    }
    let bounds = LOWER_BOUNDS
        .map(|k| (k, 1.0))
        .into_iter()
        .chain(UPPER_BOUNDS.map(|k| (k, -1.0)));
    for (keyword, sign) in bounds {
        if let Some(bound) = new[keyword].as_f64()
            && old[keyword].as_f64().is_none_or(|old| bound * sign > old * sign)
        {
            report(format!("{keyword} {} became {bound}", old[keyword]));
        }
    }
    let required = &strings(&new["required"]) - &strings(&old["required"]);
    if !required.is_empty() {
        report(format!("required: {required:?} are new"));
    }
    // Without an enum, every value is allowed.
    let (before, after) = (strings(&old["enum"]), strings(&new["enum"]));
    if !after.is_empty() && (before.is_empty() || !before.is_subset(&after)) {
        report(format!("enum: {before:?} became {after:?}"));
    }
    for rule in rules(new).difference(&rules(old)) {
        report(format!("new rule {rule}"));
    }
    children(old, new, path, found);
}

fn children(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    let empty = Map::new();
    for (name, old) in old["properties"].as_object().unwrap_or(&empty) {
        match &new["properties"][name] {
            Value::Null => found.push(format!("{path}.{name}: the property was removed")),
            new => compare(old, new, &format!("{path}.{name}"), found),
        }
    }
    for keyword in ["items", "additionalProperties"] {
        match (&old[keyword], &new[keyword]) {
            (Value::Object(_), Value::Object(_)) => {
                compare(&old[keyword], &new[keyword], &format!("{path}[]"), found);
            }
            (before, after) if before != after => {
                found.push(format!("{path}: {keyword} {before} became {after}"));
            }
            _ => {}
        }
    }
}

fn strings(values: &Value) -> BTreeSet<String> {
    values
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::to_string)
        .collect()
}

fn rules(schema: &Value) -> BTreeSet<String> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let rules = rules.into_iter().flatten();
    rules.map(|rule| rule["rule"].to_string()).collect()
}

#[test]
fn additions_are_no_restrictions() {
    let old = json!({"type": "object", "properties": {"a": {"type": "string", "maxLength": 5, "minLength": 2, "enum": ["x"]}}, "required": ["a"]});
    let new = json!({"type": "object", "description": "new", "properties": {
        "a": {"type": "string", "maxLength": 6, "nullable": true, "enum": ["x", "y"]},
        "b": {"type": "object", "required": ["c"], "properties": {"c": {"type": "string", "maxLength": 1}}}}});
    assert_eq!(restrictions(&old, &new), Vec::<String>::new());
}

#[test]
fn every_restriction_is_found() {
    let text =
        json!({"type": "string", "enum": ["x", "y"], "maxLength": 5, "minLength": 2, "nullable": true});
    let with = |keyword: &str, value: Value| {
        let mut changed = text.clone();
        changed[keyword] = value;
        changed
    };
    for (keyword, value) in [
        ("type", json!("integer")),
        ("enum", json!(["x"])),
        ("maxLength", json!(4)),
        ("minLength", json!(3)),
        ("maxItems", json!(3)),
        ("nullable", json!(false)),
        ("pattern", json!("a")),
        ("default", json!("x")),
        ("x-kubernetes-validations", json!([{"rule": "self != ''"}])),
        ("required", json!(["a"])),
    ] {
        let object = |property: &Value| json!({"items": {"properties": {"p": property}}});
        let found = restrictions(&object(&text), &object(&with(keyword, value)));
        assert_eq!(found.len(), 1, "{keyword}: {found:?}");
        assert!(
            found[0].starts_with("[].p: ") || found[0].contains(keyword),
            "{found:?}"
        );
    }
    let removed = restrictions(&json!({"properties": {"p": text}}), &json!({"properties": {}}));
    assert_eq!(removed, [".p: the property was removed"]);
    let closed = restrictions(
        &json!({"type": "string"}),
        &json!({"type": "string", "enum": ["x"]}),
    );
    assert_eq!(closed.len(), 1, "{closed:?}");
}
