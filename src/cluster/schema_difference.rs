//! Pure: what one `OpenAPI` schema lacks of another.

use serde_json::Value;

/// Most entries of a message; the rest is counted.
const MAX_ENTRIES: usize = 5;

/// The fields and the values of enums that `wanted` has and `served` lacks, as paths such as `spec.api.listing`. Fields of the metadata are
/// not compared: they are Kubernetes' own.
pub(super) fn missing(wanted: &Value, served: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        match (&wanted["properties"][part], &served["properties"][part]) {
            (Value::Null, _) => {}
            (_, Value::Null) => found.push(part.to_owned()),
            (wanted, served) => compare(part, wanted, served, &mut found),
        }
    }
    if found.len() > MAX_ENTRIES {
        let rest = found.len() - MAX_ENTRIES;
        found.truncate(MAX_ENTRIES);
        found.push(format!("{rest} more"));
    }
    found
}

fn compare(path: &str, wanted: &Value, served: &Value, found: &mut Vec<String>) {
    for (field, schema) in wanted["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{field}");
        match &served["properties"][field] {
            Value::Null => found.push(path),
            served => compare(&path, schema, served, found),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if wanted[inner].is_object() && served[inner].is_object() {
            compare(&format!("{path}[]"), &wanted[inner], &served[inner], found);
        }
    }
    let values = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
    let known = values(served);
    for value in values(wanted).iter().filter(|value| !known.contains(value)) {
        if !known.is_empty() {
            found.push(format!("{path}={}", value.as_str().unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::missing;

    fn schema(spec: &Value) -> Value {
        json!({"properties": {"metadata": {"properties": {"name": {}}}, "spec": {"properties": spec}}})
    }

    #[test]
    fn fields_and_values_that_the_server_lacks() {
        let wanted = schema(&json!({
            "url": {"type": "string"},
            "listing": {"enum": ["Auto", "RegionSearch"]},
            "regions": {"items": {"properties": {"id": {}, "name": {}}}},
            "sink": {"properties": {"url": {}}},
        }));
        let served = schema(&json!({
            "url": {"type": "string"},
            "listing": {"enum": ["Auto"]},
            "regions": {"items": {"properties": {"id": {}}}},
        }));
        let lacks = ["spec.listing=RegionSearch", "spec.regions[].name", "spec.sink"];
        assert_eq!(missing(&wanted, &served), lacks);
        assert_eq!(missing(&wanted, &wanted), Vec::<String>::new());
        // A newer definition has everything that an older operator knows.
        assert_eq!(missing(&served, &wanted), Vec::<String>::new());
    }

    #[test]
    fn a_definition_without_a_status_lacks_all_of_it() {
        let mut wanted = schema(&json!({}));
        wanted["properties"]["status"] = json!({"properties": {"phase": {}}});
        assert_eq!(missing(&wanted, &schema(&json!({}))), ["status"]);
    }

    #[test]
    fn a_long_list_is_shortened() {
        let fields = |n: usize| -> Value { (0..n).map(|n| (format!("f{n}"), json!({}))).collect() };
        let missing = missing(&schema(&fields(9)), &schema(&json!({})));
        assert_eq!(missing.last().unwrap(), "4 more");
        assert_eq!(missing.len(), 6);
    }
}
