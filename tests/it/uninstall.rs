//! Nothing hangs when the operator is uninstalled: runs that wait have no finalizer, and those that have started are released.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use devenv::ControlPlane;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tarana_operator::api::sync::{Phase, TaranaSync};
use tarana_operator::cluster::WatchSelector;
use tarana_operator::uninstall::{Error, Uninstall};

use super::environment::{TestEnvironment, phase, wait_until};
use super::hanging_runs::fetching_and_waiting;
use super::operator_rights::{self, wait_until_allowed};
use super::rights::granted::granted;
use super::{accounts, servers};

/// One run in Fetch, which hangs, and one that waits for it.
async fn create_two_runs(env: &TestEnvironment) -> [TaranaSync; 2] {
    let [fetching, waiting] = fetching_and_waiting(env, json!({})).await;
    assert_eq!(
        fetching.metadata.finalizers.as_deref().unwrap_or_default().len(),
        1
    );
    assert_eq!(waiting.metadata.finalizers, None, "it has not started");
    [fetching, waiting]
}

/// Runs `tarana-operator uninstall` with the rights of the chart's hook.
async fn uninstall(env: &TestEnvironment) -> Output {
    let watched = format!("watchNamespaces={{{}}}", env.namespace);
    let manifests = operator_rights::render_hook(&env.namespace, &watched).await;
    servers::plane().await.kubectl().apply(&manifests).await.unwrap();
    let account = "tarana-operator-uninstall";
    let user = format!("system:serviceaccount:{}:{account}", env.namespace);
    for permission in granted(&manifests) {
        wait_until_allowed(&env.client, &user, &permission).await;
    }
    let kubeconfig = accounts::kubeconfig(env, account).await;
    run_uninstall(&env.namespace, &kubeconfig).await
}

async fn run_uninstall(namespace: &str, kubeconfig: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarana-operator"));
    command
        .args(["uninstall", "--lease-namespace", namespace])
        .env("TARANA_WATCH_NAMESPACES", namespace)
        .env("KUBECONFIG", kubeconfig);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_operator_leaves_no_run_that_cannot_be_deleted() {
    let mut env = TestEnvironment::new().await;
    let [_, waiting] = create_two_runs(&env).await;
    env.kill_operator().await;
    env.delete("waiting").await;
    assert!(
        env.syncs().get_opt("waiting").await.unwrap().is_none(),
        "nothing holds it"
    );
    env.delete("fetching").await;
    assert!(
        env.syncs().get_opt("fetching").await.unwrap().is_some(),
        "its finalizer does"
    );

    let output = uninstall(&env).await;
    let (printed, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            &format!("released TaranaSync {}/fetching", env.namespace),
            "1 of 1 runs were held and are released"
        ]
    );
    assert!(env.syncs().get_opt("fetching").await.unwrap().is_none());
    assert_eq!(
        env.log_row(&waiting).await["status"],
        "pending",
        "until an operator runs again"
    );
}

/// An operator that is installed later continues the runs that were released.
#[tokio::test(flavor = "multi_thread")]
async fn a_released_run_is_continued_by_the_next_operator() {
    let mut env = TestEnvironment::new().await;
    create_two_runs(&env).await;
    env.stop_operator().await;
    assert!(uninstall(&env).await.status.success());
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    env.start_operator();
    for name in ["fetching", "waiting"] {
        let run = env.finished(name).await;
        assert_eq!(phase(&run), Phase::Completed, "{name}");
        assert_eq!(run.status.unwrap().attempt, 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_an_operator_that_still_leads_are_not_released() {
    let env = TestEnvironment::new().await;
    create_two_runs(&env).await;
    let leases: Api<Lease> = Api::namespaced(env.client.clone(), &env.namespace);
    let lease = json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": "pod-7", "leaseDurationSeconds": 15}});
    leases
        .create(&PostParams::default(), &serde_json::from_value(lease).unwrap())
        .await
        .unwrap();
    let uninstall = Uninstall {
        selector: WatchSelector::default(),
        namespaces: vec![env.namespace.clone()],
        lease: Some((env.namespace.clone(), "leader".to_owned())),
        patience: Duration::from_secs(2),
    };
    let renew = async {
        for number in 0.. {
            let renewed = Patch::Merge(json!({"spec": {"leaseTransitions": number}}));
            leases
                .patch("leader", &PatchParams::default(), &renewed)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let refused = tokio::select! {
        refused = uninstall.run(&env.client) => refused.unwrap_err(),
        () = renew => unreachable!(),
    };
    assert!(
        matches!(&refused, Error::StillRuns { holder, .. } if holder == "pod-7"),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("kubectl scale --replicas=0"),
        "{refused}"
    );
    assert!(
        env.syncs()
            .get("fetching")
            .await
            .unwrap()
            .metadata
            .finalizers
            .is_some()
    );

    let released = json!({"spec": {"holderIdentity": null}});
    leases
        .patch("leader", &PatchParams::default(), &Patch::Merge(released))
        .await
        .unwrap();
    let released = uninstall.run(&env.client).await.unwrap();
    assert_eq!(released.runs, [format!("{}/fetching", env.namespace)]);
}

/// Deleting the kinds deletes all objects. The operator ends their runs.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_kinds_never_hangs_while_an_operator_runs() {
    let plane = ControlPlane::start().await.unwrap();
    servers::install_crds(&plane).await;
    let mut env = TestEnvironment::on(&plane).await;
    env.start_operator();
    env.create_secrets_and_connection().await;
    let runs = create_two_runs(&env).await;
    delete_kinds(&plane).await;
    for run in &runs {
        let row = wait_until("the row is closed", || async {
            Some(env.log_row(run).await).filter(|row| !row["completed_at"].is_null())
        })
        .await;
        assert_eq!(
            (&row["outcome"], &row["reason"]),
            (&json!("cancelled"), &json!("Cancelled"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_kinds_never_hangs_after_uninstall() {
    let plane = ControlPlane::start().await.unwrap();
    servers::install_crds(&plane).await;
    let mut env = TestEnvironment::on(&plane).await;
    env.start_operator();
    env.create_secrets_and_connection().await;
    create_two_runs(&env).await;
    env.kill_operator().await;
    let uninstall = Uninstall {
        selector: WatchSelector::default(),
        namespaces: Vec::new(),
        lease: None,
        patience: Duration::ZERO,
    };
    let released = uninstall.run(&env.client).await.unwrap();
    assert_eq!((released.runs.len(), released.total), (1, 2));
    delete_kinds(&plane).await;
    let gone = uninstall.run(&env.client).await.unwrap();
    assert_eq!((gone.runs.len(), gone.total), (0, 0), "the kind does not exist");
    let namespaces: Api<Namespace> = Api::all(env.client.clone());
    let params = DeleteParams::default();
    namespaces.delete(&env.namespace, &params).await.unwrap();
    wait_until("the namespace is gone", || async {
        let namespace = namespaces.get_opt(&env.namespace).await.unwrap();
        namespace.is_none().then_some(())
    })
    .await;
}

async fn delete_kinds(plane: &ControlPlane) {
    let kinds = "taranasyncs.tarana.dev,taranaconnections.tarana.dev,taranasyncschedules.tarana.dev";
    for kind in kinds.split(',') {
        plane
            .kubectl()
            .run(&["delete", "crd", kind, "--timeout=120s"])
            .await
            .unwrap();
    }
}
