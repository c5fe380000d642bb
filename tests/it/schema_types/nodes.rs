//! The fields of a kind, from the schema of its custom resource definition.

use serde_json::{Value, json};

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Field(String),
    /// The first item of a list.
    Item,
    /// The value of some key of a map.
    Key,
}

/// A value in an object: a field, an item of a list or a value of a map.
#[derive(Clone, Debug)]
pub struct Node {
    pub path: Vec<Step>,
    pub schema: Value,
}

impl Node {
    /// As messages of the API server spell it, for example `spec.api.url`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for step in &self.path {
            match step {
                Step::Field(field) if name.is_empty() => name.push_str(field),
                Step::Field(field) => name.extend([".", field]),
                Step::Item => name.push_str("[0]"),
                Step::Key => name.push_str(".key"),
            }
        }
        name
    }

    pub fn is_leaf(&self) -> bool {
        ["properties", "items", "additionalProperties"]
            .iter()
            .all(|parts| self.schema[parts].is_null())
    }
}

/// The schema of a kind, as `crds/` contains it.
pub fn schema_of(kind: &str) -> Value {
    let mut definitions = tarana_operator::api::definitions().into_iter();
    let definition = definitions.find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(&definition.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take()
}

/// Everything below and including a top-level field, `spec` or `status`.
pub fn nodes(schema: &Value, top: &str) -> Vec<Node> {
    let mut found = Vec::new();
    let path = vec![Step::Field(top.to_owned())];
    collect(&schema["properties"][top], path, &mut found);
    found
}

fn collect(schema: &Value, path: Vec<Step>, found: &mut Vec<Node>) {
    let below = |step: Step| [path.clone(), vec![step]].concat();
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        collect(schema, below(Step::Field(field.clone())), found);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], below(Step::Item), found);
    }
    if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], below(Step::Key), found);
    }
    let schema = schema.clone();
    found.push(Node { path, schema });
}

/// Sets the value at the path. What is missing on the way is created with its required fields.
pub fn set(object: &mut Value, schema: &Value, path: &[Step], value: Value) {
    let Some((step, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    let (child, schema) = match step {
        Step::Field(field) => (&mut object[field], &schema["properties"][field]),
        Step::Key => (&mut object["key"], &schema["additionalProperties"]),
        Step::Item => {
            let items = object.as_array_mut().unwrap();
            if items.is_empty() {
                items.push(Value::Null);
            }
            (&mut items[0], &schema["items"])
        }
    };
    if child.is_null() {
        *child = sample(schema);
    }
    set(child, schema, rest, value);
}

/// A valid value, with the required fields only.
pub fn sample(schema: &Value) -> Value {
    if !schema["default"].is_null() {
        return schema["default"].clone();
    }
    if !schema["enum"][0].is_null() {
        return schema["enum"][0].clone();
    }
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("object", _) => {
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .map(|field| field.as_str().unwrap())
                .map(|field| (field.to_owned(), sample(&schema["properties"][field])))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        ("array", _) => json!([]),
        ("integer", _) => json!(1),
        ("boolean", _) => json!(true),
        (_, Some("date-time")) => json!("2026-01-01T00:00:00Z"),
        (_, Some("uuid")) => json!("6b1f2c1e-7d7e-4a55-9b9c-8f6f0d1c2b3a"),
        _ => json!("sample"),
    }
}
