//! Every route of the `OpenAPI` document, by whoever calls: no route can be forgotten.

use serde_json::{Value, json};
use tarana_operator::admin::openapi;

use super::desk::{Desk, answer, json as with_json};

/// A route as the document has it.
struct Route {
    method: String,
    path: String,
    is_open: bool,
    /// It takes `?namespace=`.
    is_of_namespaces: bool,
    statuses: Vec<String>,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, route)| Route {
            method: method.to_uppercase(),
            path: path.clone(),
            is_of_namespaces: route["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|p| p["name"] == "namespace" && p["in"] == "query")),
            is_open: route["security"] == json!([{}]),
            statuses: route["responses"].as_object().unwrap().keys().cloned().collect(),
        })
    };
    paths.iter().flat_map(of).collect()
}

/// The document's path with things that exist.
fn filled(path: &str, namespace: &str, id: &str) -> String {
    let name = if path.contains("/syncs/") {
        "first"
    } else if path.contains("/schedules/") {
        "nightly"
    } else {
        "default"
    };
    path.replace("{namespace}", namespace)
        .replace("{name}", name)
        .replace("{id}", id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_by_everybody() {
    let desk = Desk::open().await;
    let first = desk.w.run("first", json!({})).await;
    let id = first.metadata.uid.unwrap();
    desk.schedule("nightly", json!({"schedule": "0 0 29 2 *", "suspend": true}))
        .await;
    let serial: String = sqlx::query_scalar("select min(serial_number) from tarana_base_stations")
        .fetch_one(&desk.w.db)
        .await
        .unwrap();
    let (mut open, mut closed) = (0, 0);
    for route in routes() {
        let mut path = filled(&route.path, &desk.w.namespace, &id).replace("{serial}", &serial);
        if route.is_of_namespaces {
            path = format!("{path}?namespace={}", desk.w.namespace);
        }
        let ask = async |token: Option<&str>| {
            let request = desk.request(&route.method, &path);
            let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            let request = if route.method == "POST" {
                with_json(request, &json!({}))
            } else {
                request
            };
            let answer = answer(request).await;
            assert!(
                route.statuses.contains(&answer.status.to_string()),
                "{} {path}: {answer:?} is not in the document",
                route.method
            );
            answer.status
        };
        let foreign = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.";
        let statuses = [
            ask(None).await,
            ask(Some(foreign)).await,
            ask(Some(&desk.nobody)).await,
            ask(Some(&desk.viewer)).await,
            ask(Some(&desk.editor)).await,
        ];
        let told = format!("{} {path}: {statuses:?}", route.method);
        if route.is_open {
            assert_eq!(statuses, [200; 5], "{told}");
            open += 1;
            continue;
        }
        closed += 1;
        assert_eq!(statuses[..2], [401, 401], "{told}");
        assert!([403, 404].contains(&statuses[2]), "{told}");
        if route.method == "GET" {
            assert_eq!(statuses[3..], [200, 200], "{told}");
        } else {
            assert_eq!(statuses[3], 403, "{told}");
            assert!([200, 201, 202, 409].contains(&statuses[4]), "{told}");
        }
    }
    assert_eq!(open, 2, "only the health of the process is for everybody");
    assert!(closed >= 21, "{closed} routes");
}

#[test]
fn the_document_is_the_committed_one() {
    let committed = include_str!("../../../src/admin/openapi.json");
    let document = format!("{:#}\n", serde_json::to_value(openapi()).unwrap());
    assert!(
        committed == document,
        "src/admin/openapi.json is not what the routes say: make openapi"
    );
}
