//! Pure: narrows the derived schemas, so that the API server rejects what this operator or its CEL rules cannot read.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::json;

/// RFC 3339 as Kubernetes writes it. The API server also accepts offsets that jiff cannot parse (+99:00) or that its CEL library
/// cannot read (+25:59). Years 1000 to 8999 are within the range of both at every offset.
const TIME: &str = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";
/// The same in UTC. The operator writes the status as a whole with all times in UTC: what it has read must be valid when written.
const UTC_TIME: &str = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$";
/// With all hyphens or with none. The API server also accepts some of them.
const UUID: &str = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$";

/// Narrows the schema of each version, and lets `spec` be absent if none of its fields is required.
pub(super) fn complete(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(root) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            for (field, schema) in root.properties.iter_mut().flatten() {
                narrow(schema, if field == "status" { UTC_TIME } else { TIME });
            }
            allow_absent_spec(root);
        }
    }
    crd
}

/// Adds the patterns to the strings of a schema; `time` is the one of times.
fn narrow(schema: &mut JSONSchemaProps, time: &str) {
    if let (Some("string"), Some(format)) = (schema.type_.as_deref(), schema.format.as_deref()) {
        match format {
            "date-time" => schema.pattern = Some(time.to_owned()),
            "uuid" => schema.pattern = Some(UUID.to_owned()),
            _ => {}
        }
        // The API server does not check the type of a list where a string with a format is expected. No list fulfills both bounds.
        schema.min_items = Some(1);
        schema.max_items = Some(0);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        narrow(values, time);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        narrow(items, time);
    }
    for (_, field) in schema.properties.iter_mut().flatten() {
        narrow(field, time);
    }
}

fn allow_absent_spec(root: &mut JSONSchemaProps) {
    let Some(spec) = root.properties.as_mut().and_then(|p| p.get_mut("spec")) else {
        return;
    };
    if spec.required.as_ref().is_none_or(Vec::is_empty) {
        spec.default = Some(JSON(json!({})));
        root.required = root.required.take().and_then(|mut fields| {
            fields.retain(|field| field != "spec");
            (!fields.is_empty()).then_some(fields)
        });
    }
}
