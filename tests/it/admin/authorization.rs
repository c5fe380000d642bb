//! Authorization of every route in the `OpenAPI` document.

use serde_json::{Value, json};
use tarana_operator::admin::openapi;

use super::client::{AdminClient, send, with_json};

/// A route of the document.
struct Route {
    method: String,
    path: String,
    is_open: bool,
    /// Whether it accepts `?namespace=`.
    has_namespace: bool,
    statuses: Vec<String>,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes_of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, route)| Route {
            method: method.to_uppercase(),
            path: path.clone(),
            has_namespace: route["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|p| p["name"] == "namespace" && p["in"] == "query")),
            is_open: route["security"] == json!([{}]),
            statuses: route["responses"].as_object().unwrap().keys().cloned().collect(),
        })
    };
    paths.iter().flat_map(routes_of).collect()
}

/// Replaces the parameters of the path with existing objects.
fn fill(path: &str, namespace: &str, id: &str) -> String {
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
async fn every_route_enforces_authorization() {
    let admin = AdminClient::with_connection().await;
    let first = admin.env.run("first", json!({})).await;
    let id = first.metadata.uid.unwrap();
    admin
        .schedule("nightly", json!({"schedule": "0 0 29 2 *", "suspend": true}))
        .await;
    let serial: String = sqlx::query_scalar("select min(serial_number) from tarana_base_stations")
        .fetch_one(&admin.env.db)
        .await
        .unwrap();
    let (mut open, mut closed) = (0, 0);
    for route in routes() {
        let mut path = fill(&route.path, &admin.env.namespace, &id).replace("{serial}", &serial);
        if route.has_namespace {
            path = format!("{path}?namespace={}", admin.env.namespace);
        }
        let call = async |token: Option<&str>| {
            let request = admin.request(&route.method, &path);
            let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            let request = if route.method == "POST" {
                with_json(request, &json!({}))
            } else {
                request
            };
            let response = send(request).await;
            assert!(
                route.statuses.contains(&response.status.to_string()),
                "{} {path}: {response:?} is not in the document",
                route.method
            );
            response.status
        };
        let foreign = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.";
        let statuses = [
            call(None).await,
            call(Some(foreign)).await,
            call(Some(&admin.no_roles)).await,
            call(Some(&admin.viewer)).await,
            call(Some(&admin.editor)).await,
        ];
        let description = format!("{} {path}: {statuses:?}", route.method);
        if route.is_open {
            assert_eq!(statuses, [200; 5], "{description}");
            open += 1;
            continue;
        }
        closed += 1;
        assert_eq!(statuses[..2], [401, 401], "{description}");
        assert!([403, 404].contains(&statuses[2]), "{description}");
        if route.method == "GET" {
            assert_eq!(statuses[3..], [200, 200], "{description}");
        } else {
            assert_eq!(statuses[3], 403, "{description}");
            assert!([200, 201, 202, 409].contains(&statuses[4]), "{description}");
        }
    }
    assert_eq!(open, 2, "only the health routes are public");
    assert!(closed >= 21, "{closed} routes");
}

#[test]
fn openapi_json_is_up_to_date() {
    let committed = include_str!("../../../src/admin/openapi.json");
    let document = format!("{:#}\n", serde_json::to_value(openapi()).unwrap());
    assert!(
        committed == document,
        "src/admin/openapi.json does not match the routes: run make openapi"
    );
}
