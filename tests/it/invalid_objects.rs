//! Objects that the API server stores and the operator cannot decode, for example after a downgrade, and CRDs that are missing,
//! deleted and installed again. The control plane is private to the test, because its CRDs accept everything.

use devenv::ControlPlane;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync};

use super::environment::{TestEnvironment, id_of, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::servers;

const RESOURCES: [&str; 3] = ["taranaconnections", "taranasyncs", "taranasyncschedules"];
const NOT_SERVED: &str = "install its CRD";

/// Requests of the operator for a resource that the API server answered with this code.
fn answers(plane: &ControlPlane, resource: &str, code: u16) -> usize {
    let entries = devenv::audit::read(plane.audit_log()).unwrap();
    let is_one = |e: &&devenv::audit::Entry| {
        e.object_ref.resource == resource
            && e.response_status.code == code
            && e.user_agent.starts_with("tarana-operator/")
    };
    entries.iter().filter(is_one).count()
}

/// Replaces the schemas of the CRDs by one that accepts everything.
async fn accept_everything(plane: &ControlPlane) {
    let patch = json!([
        {"op": "remove", "path": "/spec/versions/0/selectableFields"},
        {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
         "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    ]);
    let patch = patch.to_string();
    for resource in RESOURCES {
        let crd = format!("{resource}.tarana.dev");
        let arguments = ["patch", "crd", &crd, "--type=json", "-p", &patch];
        plane.kubectl().run(&arguments).await.unwrap();
    }
}

fn sync(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
        "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

/// Objects that cannot be decoded, with the path of the field. The API server takes the new schema into use with a delay.
async fn create_invalid_objects(plane: &ControlPlane, namespace: &str) -> Vec<(&'static str, &'static str)> {
    let time = json!({"trigger": {"scheduledTime": "2026-01-01T00:00:00+99:00"}});
    let connection = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection",
        "metadata": {"namespace": namespace, "name": "bad-connection"}, "spec": {"api": {"url": 7}}});
    let schedule = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule",
        "metadata": {"namespace": namespace, "name": "bad-schedule"}, "spec": {"schedule": ["* * * * *"]}});
    let kubectl = plane.kubectl();
    for object in [
        sync(namespace, "bad-time", &time),
        sync(namespace, "bad-phase", &json!({})),
        connection,
        schedule,
    ] {
        let object = object.to_string();
        wait_until("the object is accepted", || async {
            kubectl.apply(&object).await.ok()
        })
        .await;
    }
    set_phase(plane, namespace, "bad-phase").await;
    vec![
        ("bad-time", "spec.trigger.scheduledTime"),
        ("bad-phase", "status.phase"),
        ("bad-connection", "spec.api.url"),
        ("bad-schedule", "spec.schedule"),
    ]
}

/// Gives a run a phase that this version does not know.
async fn set_phase(plane: &ControlPlane, namespace: &str, name: &str) {
    let patch = json!({"status": {"phase": "Paused"}}).to_string();
    let arguments = [
        "-n",
        namespace,
        "patch",
        "tsync",
        name,
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    plane.kubectl().run(&arguments).await.unwrap();
}

async fn wait_for_report(env: &TestEnvironment, namespace: &str, name: &str, field: &str) {
    let events: Api<Event> = Api::namespaced(env.client.clone(), namespace);
    wait_until(
        &format!("an Event names {field} of {namespace}/{name}"),
        || async {
            let events = events
                .list(&kube::api::ListParams::default())
                .await
                .unwrap()
                .items;
            let is_report = |e: &Event| {
                e.reason.as_deref() == Some("InvalidObject")
                    && e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name)
                    && e.note.as_deref().unwrap_or_default().contains(field)
            };
            events.iter().any(is_report).then_some(())
        },
    )
    .await;
}

fn start_operator(env: &TestEnvironment, name: &str) -> OperatorProcess {
    OperatorProcess::start_with(env, name, &[("TARANA_WATCH_NAMESPACES", "")])
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_objects_are_ignored_and_missing_crds_are_waited_for() {
    let plane = ControlPlane::start().await.unwrap();
    let env = TestEnvironment::on(&plane).await;
    let mut operator = start_operator(&env, "before-crds");
    crds_are_waited_for(&env, &plane, &operator).await;
    let invalid = invalid_objects_are_reported(&env, &plane).await;
    operator.kill();
    let mut operator = start_operator(&env, "after-restart");
    assert_eq!(phase(&env.run("third", json!({})).await), Phase::Completed);
    for field in invalid {
        operator.wait_for_log(field, 2).await;
    }
    let turned = a_run_that_becomes_invalid_can_be_deleted(&env, &plane).await;
    operator.kill();
    // The sweep of a new process closes its row.
    let operator = start_operator(&env, "after-deletion");
    wait_until("the row is closed", || async {
        Some(env.log_row(&turned).await).filter(|row| !row["completed_at"].is_null())
    })
    .await;
    assert_eq!(phase(&env.run("fourth", json!({})).await), Phase::Completed);
    crds_are_deleted_and_installed_again(&env, &plane, &operator).await;
}

async fn crds_are_waited_for(env: &TestEnvironment, plane: &ControlPlane, operator: &OperatorProcess) {
    for resource in RESOURCES {
        operator
            .wait_for_log(&format!("does not serve {resource}.tarana.dev"), 1)
            .await;
        wait_until("it was requested several times", || async {
            (answers(plane, resource, 404) >= 4).then_some(())
        })
        .await;
    }
    assert_eq!(
        operator.count_in_log(NOT_SERVED),
        RESOURCES.len(),
        "logged once each: {}",
        operator.log_text()
    );
    servers::install_crds(plane).await;
    env.create_secrets_and_connection().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    operator
        .wait_for_log("the watch works again", RESOURCES.len())
        .await;
}

/// Creates invalid objects in this namespace and another one. Returns their fields.
async fn invalid_objects_are_reported(env: &TestEnvironment, plane: &ControlPlane) -> Vec<&'static str> {
    let other = format!("{}-other", env.namespace);
    plane
        .kubectl()
        .run(&["create", "namespace", &other])
        .await
        .unwrap();
    accept_everything(plane).await;
    let (here, there) = (
        create_invalid_objects(plane, &env.namespace).await,
        create_invalid_objects(plane, &other).await,
    );
    assert_eq!(phase(&env.run("second", json!({})).await), Phase::Completed);
    for (namespace, objects) in [(&env.namespace, &here), (&other, &there)] {
        for (name, field) in objects {
            wait_for_report(env, namespace, name, field).await;
        }
    }
    here.into_iter().map(|(_, field)| field).collect()
}

/// A run with a finalizer becomes invalid. Returns it; its row is old enough to be swept.
async fn a_run_that_becomes_invalid_can_be_deleted(
    env: &TestEnvironment,
    plane: &ControlPlane,
) -> TaranaSync {
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let run = env.sync("turned", json!({})).await;
    env.wait_for_sync("turned", "fetches", |s| phase(s) == Phase::Running)
        .await;
    set_phase(plane, &env.namespace, "turned").await;
    wait_for_report(env, &env.namespace, "turned", "status.phase").await;
    let arguments = [
        "-n",
        &env.namespace,
        "delete",
        "tsync",
        "turned",
        "--timeout=120s",
    ];
    plane.kubectl().run(&arguments).await.unwrap();
    sqlx::query("update tarana_sync_logs set created_at = now() - interval '1 day', started_at = null, heartbeat_at = null where id = $1")
        .bind(id_of(&run))
        .execute(&env.db)
        .await
        .unwrap();
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    run
}

/// A run in Fetch is deleted with its CRD: its row is closed. Once the CRDs are back, everything works again.
async fn crds_are_deleted_and_installed_again(
    env: &TestEnvironment,
    plane: &ControlPlane,
    operator: &OperatorProcess,
) {
    env.tcs.set_rules(vec![servers::hanging_search()]);
    let last = env.sync("last", json!({})).await;
    env.wait_for_sync("last", "fetches", |s| phase(s) == Phase::Running)
        .await;
    let mut arguments = vec!["delete", "crd", "--timeout=120s"];
    let names: Vec<String> = RESOURCES.iter().map(|r| format!("{r}.tarana.dev")).collect();
    arguments.extend(names.iter().map(String::as_str));
    plane.kubectl().run(&arguments).await.unwrap();
    let row = env.log_row(&last).await;
    assert_eq!(
        (&row["status"], &row["outcome"]),
        (&json!("failed"), &json!("cancelled"))
    );
    for resource in RESOURCES {
        operator
            .wait_for_log(&format!("does not serve {resource}.tarana.dev"), 1)
            .await;
    }
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    servers::install_crds(plane).await;
    env.connection("default", json!({})).await;
    assert_eq!(phase(&env.run("fifth", json!({})).await), Phase::Completed);
    assert_eq!(
        operator.count_in_log(NOT_SERVED),
        RESOURCES.len(),
        "{}",
        operator.log_text()
    );
}
