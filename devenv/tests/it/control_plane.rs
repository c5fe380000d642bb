//! The control plane supports what the operator needs. The tests share it; each uses its own object names.

use std::time::{Duration, Instant};

use devenv::{ControlPlane, Kubectl, audit};

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: towers.devenv.example}
spec:
  group: devenv.example
  scope: Namespaced
  names: {plural: towers, singular: tower, kind: Tower}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {height: {type: integer, default: 30}}
              x-kubernetes-validations: [{rule: self.height > 0, message: a tower stands}]
";

async fn kubectl() -> Kubectl {
    ControlPlane::shared().await.unwrap().kubectl()
}

/// Polls until kubectl prints nothing.
async fn wait_until_empty(kubectl: &Kubectl, args: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !kubectl.run(args).await.unwrap().is_empty() {
        assert!(
            Instant::now() < deadline,
            "{args:?} still lists something after 30 s"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_crd_applies_defaults_and_validation_rules() {
    let kubectl = kubectl().await;
    kubectl.apply(CRD).await.unwrap();
    kubectl
        .run(&["wait", "--for=condition=Established", "crd/towers.devenv.example"])
        .await
        .unwrap();
    let tower = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: devenv.example/v1, kind: Tower, metadata: {{name: {name}, namespace: default}}, spec: {spec}}}"
        )
    };
    kubectl.apply(&tower("first", "{}")).await.unwrap();
    let height = kubectl
        .run(&["get", "tower", "first", "-o", "jsonpath={.spec.height}"])
        .await
        .unwrap();
    assert_eq!(height, "30");
    let refused = kubectl
        .apply(&tower("second", "{height: -1}"))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("a tower stands"), "{refused}");
}

#[tokio::test]
async fn a_service_account_has_only_its_granted_rights() {
    let plane = ControlPlane::shared().await.unwrap();
    let admin = plane.kubectl();
    for args in [
        "create namespace rights",
        "create serviceaccount reader -n rights",
        "create role reader -n rights --verb=get,list --resource=configmaps",
        "create rolebinding reader -n rights --role=reader --serviceaccount=rights:reader",
    ] {
        admin.run(&args.split(' ').collect::<Vec<_>>()).await.unwrap();
    }
    let token = admin
        .run(&["create", "token", "reader", "-n", "rights"])
        .await
        .unwrap();
    let file = plane.kubeconfig().with_file_name("reader.kubeconfig");
    std::fs::write(&file, plane.kubeconfig_for("reader", token.trim())).unwrap();
    let reader = admin.with_kubeconfig(&file);
    reader.run(&["get", "configmaps", "-n", "rights"]).await.unwrap();
    let refused = reader
        .run(&["get", "secrets", "-n", "rights"])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("system:serviceaccount:rights:reader") && refused.contains("forbidden"),
        "{refused}"
    );

    let token = token.trim();
    let review =
        format!("{{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {{token: {token}}}}}");
    let create = [
        "create",
        "-f",
        "-",
        "-o",
        "jsonpath={.status.authenticated} {.status.user.username}",
    ];
    let review = admin.run_with(&create, &review).await.unwrap();
    assert_eq!(review, "true system:serviceaccount:rights:reader");
}

#[tokio::test]
async fn the_audit_log_records_user_and_object_of_a_write() {
    let plane = ControlPlane::shared().await.unwrap();
    plane
        .kubectl()
        .run(&["create", "configmap", "audited", "--from-literal=a=b"])
        .await
        .unwrap();
    let ours = |entry: &&audit::Entry| {
        entry.is_write() && entry.user_agent.starts_with("kubectl/v1.") && entry.object_ref.name == "audited"
    };
    let entries = audit::read(plane.audit_log()).unwrap();
    let found: Vec<_> = entries.iter().filter(ours).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (
            found[0].object_ref.resource.as_str(),
            found[0].response_status.code
        ),
        ("configmaps", 201)
    );
    assert_eq!(found[0].user.username, "admin");
}

#[tokio::test]
async fn owned_objects_are_garbage_collected_and_namespaces_deleted() {
    let kubectl = kubectl().await;
    kubectl.run(&["create", "namespace", "passing"]).await.unwrap();
    kubectl
        .run(&["create", "configmap", "owner", "-n", "passing"])
        .await
        .unwrap();
    let uid = kubectl
        .run(&[
            "get",
            "configmap",
            "owner",
            "-n",
            "passing",
            "-o",
            "jsonpath={.metadata.uid}",
        ])
        .await;
    let owned = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: owned, namespace: passing, ownerReferences: [
        {{apiVersion: v1, kind: ConfigMap, name: owner, uid: {}}}]}}}}",
        uid.unwrap()
    );
    kubectl.apply(&owned).await.unwrap();
    kubectl
        .run(&["delete", "configmap", "owner", "-n", "passing"])
        .await
        .unwrap();
    wait_until_empty(
        &kubectl,
        &["get", "configmap", "owned", "-n", "passing", "--ignore-not-found"],
    )
    .await;
    kubectl
        .run(&["delete", "namespace", "passing", "--wait=false"])
        .await
        .unwrap();
    wait_until_empty(&kubectl, &["get", "namespace", "passing", "--ignore-not-found"]).await;
}

#[tokio::test]
async fn the_api_server_reports_its_version_and_all_servers_run() {
    let plane = ControlPlane::shared().await.unwrap();
    let version = plane.kubectl().run(&["version", "-o", "json"]).await.unwrap();
    assert!(version.matches("v1.36.3").count() >= 2, "{version}");
    plane.check_running().unwrap();
}
