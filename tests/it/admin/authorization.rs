//! Authorization of every route in the `OpenAPI` document.

use serde_json::{Value, json};
use tarana_operator::admin::openapi;

use super::client::{AdminClient, send};

/// A route of the document.
pub struct Route {
    pub method: String,
    pub path: String,
    is_open: bool,
    /// Whether it accepts `?namespace=`.
    has_namespace: bool,
    /// The required parameters of the query, with their examples: `?name=value&…`.
    query: String,
    statuses: Vec<String>,
}

/// All routes of the document.
pub fn routes() -> Vec<Route> {
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
            query: required_query(&route),
            is_open: route["security"] == json!([{}]),
            statuses: route["responses"].as_object().unwrap().keys().cloned().collect(),
        })
    };
    paths.iter().flat_map(routes_of).collect()
}

fn required_query(route: &Value) -> String {
    let parameters = route["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|p| p["in"] == "query" && p["required"] == true);
    let text = |value: &Value| value.as_str().expect("an example").replace(' ', "+");
    let pairs: Vec<String> = required
        .map(|p| format!("{}={}", text(&p["name"]), text(&p["example"])))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

/// The body of a request, with its media type.
fn body(path: &str, id: &str) -> (&'static str, Value) {
    if path != "/api/v1/cloudevents" {
        return ("application/json", json!({}));
    }
    let event = json!({"specversion": "1.0", "type": "tarana/sync.requested", "source": "test", "id": id,
                       "data": {"triggered_by": "manual"}});
    ("application/cloudevents+json", event)
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

/// The statuses of a route: without a token, with an invalid one, and for a user without roles, viewer, editor and approver.
fn assert_statuses(route: &Route, statuses: [u16; 6]) {
    let description = format!("{} {}: {statuses:?}", route.method, route.path);
    if route.path == "/api/v1/session" {
        // Without a token in the body, and without a session.
        assert_eq!(
            statuses,
            [if route.method == "POST" { 400 } else { 404 }; 6],
            "{description}"
        );
        return;
    }
    if route.is_open {
        assert_eq!(statuses, [200; 6], "{description}");
        return;
    }
    assert_eq!(statuses[..2], [401, 401], "{description}");
    if ["/api/v1/me", "/api/v1/schedules/preview"].contains(&route.path.as_str()) {
        assert_eq!(statuses[2..], [200; 4], "{description}");
        return;
    }
    assert!([403, 404].contains(&statuses[2]), "{description}");
    if route.method == "GET" {
        assert_eq!(statuses[3..], [200; 3], "{description}");
        return;
    }
    let is_approval = route.path.ends_with("/approve");
    let (denied, permitted) = statuses[3..].split_at(1 + usize::from(is_approval));
    assert!(denied.iter().all(|status| *status == 403), "{description}");
    let is_permitted = |status| [200, 201, 202, 409].contains(status);
    assert!(permitted.iter().all(is_permitted), "{description}");
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
        path.push_str(&route.query);
        if route.has_namespace {
            path = format!("{path}?namespace={}", admin.env.namespace);
        }
        let call = async |token: Option<&str>| {
            let request = admin.request(&route.method, &path);
            let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            let request = if route.method == "POST" {
                let (media_type, body) = body(&path, &id);
                request.header("content-type", media_type).body(body.to_string())
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
            call(Some(&admin.approver)).await,
        ];
        assert_statuses(&route, statuses);
        if route.is_open {
            open += 1;
        } else {
            closed += 1;
        }
    }
    assert_eq!(open, 4, "only the health routes and the session are public");
    assert!(closed >= 24, "{closed} routes");
}

#[tokio::test(flavor = "multi_thread")]
async fn me_returns_what_the_caller_may_do() {
    let admin = AdminClient::with_connection().await;
    let namespace = &admin.env.namespace;
    let me = async |token: &str, query: &str| admin.get(token, &format!("/api/v1/me{query}")).await.json();
    let allowed = |me: &Value| {
        let actions = me["actions"].as_array().unwrap().iter();
        let allowed = actions.filter(|action| action["allowed"] == true);
        let names: Vec<_> = allowed
            .map(|action| action["action"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    let viewer = me(&admin.viewer, "").await;
    assert_eq!(
        viewer["user"],
        format!("system:serviceaccount:{namespace}:viewer")
    );
    assert_eq!(viewer["namespace"], json!(namespace));
    let groups = viewer["groups"].as_array().unwrap();
    assert!(groups.contains(&json!("system:serviceaccounts")), "{groups:?}");
    let reads = [
        "listSyncs",
        "getSync",
        "watchSyncs",
        "listSchedules",
        "listConnections",
        "readStations",
    ];
    assert_eq!(allowed(&viewer), reads);
    let create = &viewer["actions"][3];
    let requires = format!("create taranasyncs.tarana.dev in namespace {namespace}");
    assert_eq!(
        *create,
        json!({"action": "createSync", "allowed": false, "requires": requires})
    );
    assert_eq!(allowed(&me(&admin.editor, "").await).len(), 9);
    assert_eq!(allowed(&me(&admin.approver, "").await).len(), 10);
    assert!(allowed(&me(&admin.no_roles, "").await).is_empty());
    assert!(allowed(&me(&admin.editor, "?namespace=default").await).is_empty());
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
