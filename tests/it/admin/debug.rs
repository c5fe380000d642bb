//! The inner state of a process, for callers whom a `ClusterRole` permits to read it.

use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;

use super::client::{AdminClient, send};
use crate::environment::{phase, wait_until};
use crate::servers;

const PATH: &str = "/debug/state";

/// Permits the viewer to read the state, by the only kind of rule that names a path.
async fn permit_viewer(namespace: &str) {
    let name = format!("debug-{namespace}");
    let group = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"nonResourceURLs": [PATH], "verbs": ["get"]}]});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": namespace}]});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]});
    let kubectl = servers::plane().await.kubectl();
    kubectl.apply(&list.to_string()).await.unwrap();
}

fn entry<'a>(state: &'a Value, list: &str, field: &str, value: &str) -> &'a Value {
    let entries = state[list].as_array().unwrap();
    let found = entries.iter().find(|entry| entry[field] == value);
    found.unwrap_or_else(|| panic!("{list} has no {value}: {state:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_shown_to_whom_a_cluster_role_permits_it() {
    let admin = AdminClient::with_connection().await;
    assert_eq!(send(admin.request("GET", PATH)).await.status, 401);
    let denied = admin.get(&admin.approver, PATH).await;
    assert_eq!(denied.status, 403);
    assert!(
        denied
            .text
            .contains("may not get /debug/state: a ClusterRole grants it by nonResourceURLs"),
        "{denied:?}"
    );
    permit_viewer(&admin.env.namespace).await;

    assert_eq!(phase(&admin.env.run("first", json!({})).await), Phase::Completed);
    // The connection is suspended, so that its next run stays in the queue.
    admin
        .env
        .change_connection("default", json!({"suspend": true}))
        .await;
    admin.env.sync("waits", json!({})).await;
    let connection = format!("{}/default", admin.env.namespace);
    let state = wait_until("the run is in the queue", || async {
        let response = admin.get(&admin.viewer, PATH).await;
        let state = (response.status == 200).then(|| response.json())?;
        (!state["queues"].as_array()?.is_empty()).then_some(state)
    })
    .await;
    assert_eq!(state["identity"], format!("test-{}", admin.env.namespace));
    assert_eq!((&state["leads"], &state["lease"]), (&json!(true), &Value::Null));
    let syncs = entry(&state, "watches", "resource", "taranasyncs");
    assert_eq!(
        (&syncs["synced"], &syncs["objects"], &syncs["problem"]),
        (&json!(true), &json!(2), &Value::Null)
    );
    assert_eq!(syncs["namespace"], admin.env.namespace.as_str());
    let path = format!(
        "/apis/tarana.dev/v1alpha1/namespaces/{}/taranasyncs",
        admin.env.namespace
    );
    let request = entry(&state, "watchRequests", "path", &path);
    assert!(request["silenceSeconds"].as_f64().unwrap() < 180.0, "{request}");
    assert_eq!(
        entry(&state, "queues", "connection", &connection)["runs"],
        json!(["waits"])
    );
    let session = entry(&state, "connections", "connection", &connection);
    assert_eq!(session["session"], "loggedIn");
    assert!(session["pool"]["size"].as_u64().unwrap() >= 1, "{session}");
    assert!(!state.to_string().contains(servers::PASSWORD));
}
