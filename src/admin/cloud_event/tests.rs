use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;

const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn structured(event: &Value) -> Result<CloudEvent, Problem> {
    let headers = headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]);
    parse(&headers, event.to_string().as_bytes())
}

fn requested() -> Value {
    json!({"specversion": "1.0", "type": "tarana/sync.requested", "source": "/app/é", "id": "42", "time": "2026-01-01T00:00:00Z",
           "data": {"triggered_by": "manual", "admin_user_id": ID, "options": {"deleteStale": true}}})
}

#[test]
fn both_modes_give_the_same_event() {
    let event = structured(&requested()).unwrap();
    assert_eq!(event.key, "/app/é\n42");
    let Command::Request(data) = &event.command else {
        panic!("{event:?}");
    };
    assert_eq!(data.admin_user_id.unwrap().to_string(), ID);
    assert!(data.options.delete_stale && !data.options.dry_run);
    let binary = headers(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "tarana/sync.requested"),
        ("ce-source", "/app/%C3%A9"),
        ("ce-id", "42"),
        ("ce-traceparent", "an extension"),
    ]);
    let body = requested()["data"].to_string();
    assert_eq!(parse(&binary, body.as_bytes()), Ok(event));
    let cancelled = json!({"specversion": "1.0", "type": "tarana/sync.cancelled", "source": "a", "id": "b",
                           "data": {"sync_log_id": ID}});
    let event = structured(&cancelled).unwrap();
    assert!(matches!(event.command, Command::Cancel(data) if data.sync_log_id.to_string() == ID));
}

#[test]
fn an_error_names_the_attribute() {
    let with = |path: &str, value: Value| {
        let mut event = requested();
        *event.pointer_mut(path).unwrap() = value;
        event
    };
    let mut base64 = requested();
    base64["data_base64"] = json!("e30=");
    let mut xml = requested();
    xml["datacontenttype"] = json!("text/xml");
    for (event, part) in [
        (with("/specversion", json!("0.3")), "specversion"),
        (with("/type", json!("tarana/sync.deleted")), "type"),
        (with("/id", json!("")), "id"),
        (with("/id", json!(7)), "expected a string"),
        (with("/source", json!("a\nb")), "source"),
        (with("/source", json!("x".repeat(1025))), "source"),
        (with("/data", json!(null)), "data"),
        (with("/data", json!([])), "data"),
        (with("/data", json!({})), "triggered_by"),
        (with("/data/triggered_by", json!("nobody")), "nobody"),
        (with("/data/options", json!({"force": true})), "force"),
        (with("/data/admin_user_id", json!("7")), "data"),
        (base64, "data_base64"),
        (xml, "datacontenttype"),
        (json!([requested()]), "object"),
    ] {
        match structured(&event) {
            Err(Problem::BadRequest(detail)) => assert!(detail.contains(part), "{part}: {detail}"),
            other => panic!("{event}: {other:?}"),
        }
    }
    let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
    assert!(matches!(
        parse(&batch, b"[]"),
        Err(Problem::UnsupportedMediaType(_))
    ));
    let twice = r#"{"specversion": "1.0", "id": "1", "id": "2", "source": "a", "type": "t"}"#;
    let structured_headers = headers(&[("content-type", STRUCTURED)]);
    assert!(
        matches!(parse(&structured_headers, twice.as_bytes()), Err(Problem::BadRequest(detail)) if detail.contains("id"))
    );
    let no_id = headers(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-source", "s"),
    ]);
    assert!(matches!(parse(&no_id, b"{}"), Err(Problem::BadRequest(detail)) if detail.contains("ce-id")));
    let not_utf8 = headers(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-source", "%FF"),
        ("ce-id", "1"),
    ]);
    assert!(
        matches!(parse(&not_utf8, b"{}"), Err(Problem::BadRequest(detail)) if detail.contains("ce-source"))
    );
}
