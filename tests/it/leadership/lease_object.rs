//! The Lease as others see it: its fields are those of client-go, and its holder is the name of the pod.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::chart::{helm, objects_of};
use crate::environment::{TestEnvironment, wait_until};
use crate::operator_process::OperatorProcess;
use crate::servers;
use crate::two_replicas::{LEADING, leader, start, with_election};

fn leases(env: &TestEnvironment) -> Api<Lease> {
    Api::namespaced(env.client.clone(), &env.namespace)
}

async fn lease(env: &TestEnvironment) -> LeaseSpec {
    let lease = leases(env).get("tarana-operator").await.unwrap();
    lease.spec.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_and_events_show_the_name_of_the_pod() {
    let deployment = "templates/deployment.yaml";
    let rendered = helm(&[
        "template",
        "op",
        "charts/tarana-operator",
        "--show-only",
        deployment,
    ])
    .await;
    let objects = objects_of(&rendered);
    let variables = &objects[0]["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables: &Vec<Value> = variables.as_array().unwrap();
    let identity = variables.iter().find(|v| v["name"] == "TARANA_IDENTITY").unwrap();
    assert_eq!(identity["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");

    let env = TestEnvironment::bare(servers::tcs()).await;
    // The name of the process is set like the variable of the pod.
    let _operator = OperatorProcess::start_with(&env, "operator-7d4b9-x2x4z", &with_election(&env));
    env.create_secrets_and_connection().await;
    env.run("run", json!({})).await;
    assert_eq!(leader(&env).await.as_deref(), Some("operator-7d4b9-x2x4z"));
    let events: Api<Event> = Api::namespaced(env.client.clone(), &env.namespace);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    assert!(!events.is_empty());
    for event in events {
        let instance = event.reporting_instance.as_deref();
        assert_eq!(instance, Some("operator-7d4b9-x2x4z"), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_the_lease_are_those_of_client_go() {
    let (env, mut first, mut second) = start().await;
    let held = lease(&env).await;
    assert_eq!(
        (held.lease_duration_seconds, held.lease_transitions),
        (Some(15), Some(0))
    );
    assert!(first.terminate().await);
    second.wait_for_log(LEADING, 1).await;
    let taken = lease(&env).await;
    assert_eq!(
        (taken.lease_duration_seconds, taken.lease_transitions),
        (Some(15), Some(1))
    );
    assert!(taken.acquire_time > held.acquire_time);
    wait_until("the Lease is renewed", || async {
        let renewed = lease(&env).await;
        (renewed.renew_time > taken.renew_time).then(|| {
            assert_eq!(renewed.acquire_time, taken.acquire_time);
            assert_eq!(renewed.lease_transitions, Some(1));
        })
    })
    .await;
    assert!(second.terminate().await);
    let released = lease(&env).await;
    assert_eq!(
        (released.holder_identity, released.lease_duration_seconds),
        (None, Some(1))
    );
    assert_eq!(released.lease_transitions, Some(1));
}

/// A Lease that somebody deletes is created again by its holder: no other replica takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_deleted_stays_with_its_holder() {
    let (env, _first, second) = start().await;
    leases(&env)
        .delete("tarana-operator", &DeleteParams::default())
        .await
        .unwrap();
    wait_until("the Lease is created again", || async { leader(&env).await }).await;
    assert_eq!(leader(&env).await.as_deref(), Some("first"));
    assert_eq!(second.count_in_log(LEADING), 0, "{}", second.log_text());
}
