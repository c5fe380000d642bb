//! Watches that the API server rejects: logged once with verb and resource, and picked up once the permission is granted.

use devenv::audit;
use serde_json::json;
use tarana_operator::api::sync::Phase;

use super::environment::{TestEnvironment, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::{accounts, servers};

fn rejections(log: &std::path::Path, namespace: &str, resource: &str) -> usize {
    let entries = audit::read(log).unwrap();
    let is_one = |e: &&audit::Entry| {
        let object = &e.object_ref;
        object.namespace == namespace && object.resource == resource && e.response_status.code == 403
    };
    entries.iter().filter(is_one).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_watch_is_logged_once_and_works_once_it_is_permitted() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubeconfig = accounts::create(&env, "nobody").await;
    let address = servers::free_address().to_string();
    let variables = [("TARANA_METRICS_LISTEN", address.as_str())];
    let operator = OperatorProcess::start_as(&env, "nobody", &kubeconfig, &variables);
    let audit_log = servers::plane().await.audit_log();
    let resources = [
        "taranaconnections.tarana.dev",
        "taranasyncs.tarana.dev",
        "taranasyncschedules.tarana.dev",
        "secrets",
    ];
    for resource in resources {
        let plural = resource.split('.').next().unwrap();
        operator
            .wait_for_log(&format!("may not list and watch {resource}"), 1)
            .await;
        operator
            .wait_for_log(&format!("cannot list resource \"{plural}\""), 1)
            .await;
        wait_until("it was rejected several times", || async {
            (rejections(audit_log, &env.namespace, plural) >= 3).then_some(())
        })
        .await;
    }
    assert_eq!(
        operator.count_in_log("cannot list resource"),
        resources.len(),
        "{}",
        operator.log_text()
    );
    assert_failures_are_shown(&address, resources.len()).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "all", "namespace": env.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "nobody", "namespace": env.namespace}]});
    servers::plane()
        .await
        .kubectl()
        .apply(&binding.to_string())
        .await
        .unwrap();
    env.create_secrets_and_connection().await;
    assert_eq!(phase(&env.run("run", json!({})).await), Phase::Completed);
    operator
        .wait_for_log("the watch works again", resources.len())
        .await;
}

/// What probes and metrics show while no watch works.
async fn assert_failures_are_shown(address: &str, watches: usize) {
    let ready = reqwest::get(format!("http://{address}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 503);
    let missing = ready.text().await.unwrap();
    assert_eq!(missing.lines().count(), watches, "{missing}");
    assert!(
        missing.contains("may not list and watch taranasyncs.tarana.dev, grant it both"),
        "{missing}"
    );
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("tarana_watch_errors_total{resource=\"taranasyncs.tarana.dev\"}"),
        "{metrics}"
    );
}
