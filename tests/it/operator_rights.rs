//! The operators of the tests have the rights of the chart's service account, and the tests themselves those of an admin. So every test
//! also checks that the chart grants what the operator needs.

use std::path::{Path, PathBuf};

use devenv::{ControlPlane, NAMESPACE, SERVICE_ACCOUNT};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, RoleBinding, RoleRef, Subject};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tarana_operator::cluster::Cluster;
use tokio::sync::OnceCell;

use super::environment::wait_until;
use super::rights::granted::{Granted, granted};
use super::{accounts, chart, servers};

/// Holds the rules of the chart's Roles in the release's namespace. It is bound in the namespace of each test, because the Lease and the
/// revoked sessions of a test are there.
const RELEASE_ROLE: &str = "tests:release-namespace";

/// Access to a control plane.
#[derive(Clone)]
pub struct Access {
    /// Of the test.
    pub admin: Client,
    /// Of operators in the process of the test.
    pub operators: Cluster,
    /// Of operator processes.
    pub kubeconfig: PathBuf,
    /// Whether operators have the rights of the chart's service account.
    has_chart_rights: bool,
}

impl Access {
    /// Access to the shared control plane.
    pub async fn shared() -> Self {
        let plane = servers::plane_with_rbac().await;
        Self::with_account(plane, shared_kubeconfig().await).await
    }

    /// Installs the chart's service account on another control plane.
    pub async fn install(plane: &ControlPlane) -> Self {
        install_rbac(plane).await;
        Self::with_account(plane, &create_kubeconfig(plane).await).await
    }

    /// For a test that installs the chart itself. Operators that it starts otherwise have admin rights.
    pub async fn as_admin(plane: &ControlPlane) -> Self {
        let operators = servers::cluster_of(plane).await;
        Self {
            admin: operators.controllers.clone(),
            operators,
            kubeconfig: plane.kubeconfig().to_owned(),
            has_chart_rights: false,
        }
    }

    async fn with_account(plane: &ControlPlane, kubeconfig: &Path) -> Self {
        Self {
            admin: servers::cluster_of(plane).await.controllers,
            operators: servers::cluster_with(kubeconfig).await,
            kubeconfig: kubeconfig.to_owned(),
            has_chart_rights: true,
        }
    }

    /// Grants the rights of the release's namespace in this namespace too, and waits until they are in effect.
    pub async fn grant_release_rights(&self, namespace: &str) {
        if !self.has_chart_rights {
            return;
        }
        let binding = RoleBinding {
            metadata: named(RELEASE_ROLE),
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "ClusterRole".to_owned(),
                name: RELEASE_ROLE.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: SERVICE_ACCOUNT.to_owned(),
                namespace: Some(NAMESPACE.to_owned()),
                ..Subject::default()
            }]),
        };
        let bindings: Api<RoleBinding> = Api::namespaced(self.admin.clone(), namespace);
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        let permission = Granted {
            group: "coordination.k8s.io".to_owned(),
            resource: "leases".to_owned(),
            verb: "create".to_owned(),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        wait_until_allowed(&self.admin, &user_in(NAMESPACE), &permission).await;
    }
}

/// Installs the chart's service account with its RBAC, with all features that need rights. Waits until the rights are in effect.
pub async fn install_rbac(plane: &ControlPlane) {
    static RENDERED: OnceCell<String> = OnceCell::const_new();
    let rendered = RENDERED.get_or_init(|| render(NAMESPACE, "")).await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let kubectl = plane.kubectl();
    kubectl.apply(&namespace.to_string()).await.expect("a namespace");
    kubectl.apply(rendered).await.expect("the chart's RBAC");
    let admin = servers::cluster_of(plane).await.controllers;
    let roles: Api<ClusterRole> = Api::all(admin.clone());
    let role = ClusterRole {
        metadata: named(RELEASE_ROLE),
        rules: Some(release_rules(rendered)),
        ..ClusterRole::default()
    };
    roles.create(&PostParams::default(), &role).await.unwrap();
    for permission in granted(rendered) {
        wait_until_allowed(&admin, &user_in(NAMESPACE), &permission).await;
    }
}

/// The service account and the roles of a release in this namespace, with all features that need permissions. `values` are added.
pub async fn render(namespace: &str, values: &str) -> String {
    let values = format!("admin.sessions.secretName=sessions,{values}");
    chart::helm(&[
        "template",
        SERVICE_ACCOUNT,
        "charts/tarana-operator",
        "--namespace",
        namespace,
        "--set",
        values.trim_end_matches(','),
        "--show-only",
        "templates/serviceaccount.yaml",
        "--show-only",
        "templates/rbac.yaml",
    ])
    .await
}

/// The service account and the roles of the uninstall hook of a release in this namespace, without its job.
pub async fn render_hook(namespace: &str, values: &str) -> String {
    let release = [
        "template",
        SERVICE_ACCOUNT,
        "charts/tarana-operator",
        "--namespace",
        namespace,
    ];
    let hook = ["--set", values, "--show-only", "templates/uninstall.yaml"];
    let rendered = chart::helm(&[&release[..], &hook[..]].concat()).await;
    let documents = rendered.split("\n---").filter(|text| !text.contains("kind: Job"));
    documents.collect::<Vec<_>>().join("\n---")
}

/// The user of the release's service account in this namespace.
pub fn user_in(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
}

/// The rules of the Roles in the release's namespace.
fn release_rules(rendered: &str) -> Vec<PolicyRule> {
    let mut objects = chart::objects_of(rendered);
    objects.retain(|object| object["kind"] == "Role" && object["metadata"]["namespace"] == NAMESPACE);
    let rules = objects.iter_mut().map(|role| role["rules"].take());
    rules
        .flat_map(|rules| serde_json::from_value::<Vec<PolicyRule>>(rules).unwrap())
        .collect()
}

/// Waits until a user has a permission. The API server learns of new roles and bindings by a watch.
pub async fn wait_until_allowed(admin: &Client, user: &str, permission: &Granted) {
    let (resource, subresource) = match permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (permission.resource.as_str(), None),
    };
    let review = json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": {
        "group": permission.group, "resource": resource, "subresource": subresource, "verb": permission.verb,
        "namespace": permission.namespace, "name": permission.name,
    }}});
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(admin.clone());
    wait_until(&format!("{user} has {permission:?}"), || async {
        let reviewed = reviews.create(&PostParams::default(), &review).await.unwrap();
        reviewed.status.is_some_and(|status| status.allowed).then_some(())
    })
    .await;
}

async fn shared_kubeconfig() -> &'static PathBuf {
    static KUBECONFIG: OnceCell<PathBuf> = OnceCell::const_new();
    KUBECONFIG
        .get_or_init(|| async { create_kubeconfig(servers::plane().await).await })
        .await
}

/// Writes a kubeconfig of the chart's service account into the folder of the control plane, which is deleted with it.
async fn create_kubeconfig(plane: &ControlPlane) -> PathBuf {
    let admin = servers::cluster_of(plane).await.controllers;
    let token = accounts::token(&admin, NAMESPACE, SERVICE_ACCOUNT).await;
    let path = plane.kubeconfig().with_file_name("operators.kubeconfig");
    std::fs::write(&path, plane.kubeconfig_for(SERVICE_ACCOUNT, &token)).unwrap();
    path
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}
