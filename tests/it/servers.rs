//! The servers that all tests of the binary share, and the words in which tests ask the simulator for trouble.

use std::time::Duration;

use devenv::simulator::{Config, Endpoint, Fault, Rule, Transport};
use devenv::{ControlPlane, Postgres, RIGHTS};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tarana_operator::cluster::Cluster;
use tokio::sync::OnceCell;

pub const USERNAME: &str = "operator@example.com";
pub const PASSWORD: &str = "correct horse";
/// For the API server of a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shared control plane, with the kinds installed.
pub async fn plane() -> &'static ControlPlane {
    static KINDS: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.expect("a control plane");
    KINDS.get_or_init(|| install_kinds(plane)).await;
    plane
}

/// The shared control plane, where the service account of the chart has the chart's rights.
pub async fn plane_with_rights() -> &'static ControlPlane {
    static RIGHTS_GIVEN: OnceCell<()> = OnceCell::const_new();
    let plane = plane().await;
    RIGHTS_GIVEN.get_or_init(|| give_rights(plane)).await;
    plane
}

async fn give_rights(plane: &ControlPlane) {
    let kubectl = plane.kubectl();
    kubectl
        .run(&["create", "namespace", devenv::NAMESPACE])
        .await
        .expect("a namespace");
    let words: Vec<&str> = RIGHTS.split_whitespace().skip(1).collect();
    let rights = super::chart::helm(&words).await;
    kubectl.apply(&rights).await.expect("the chart's rights");
}

async fn install_kinds(plane: &ControlPlane) {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let kubectl = plane.kubectl();
    kubectl
        .run(&["apply", "--server-side", "-f", crds])
        .await
        .expect("the CRDs are accepted");
    kubectl
        .run(&["wait", "--for=condition=Established", "--timeout=30s", "-f", crds])
        .await
        .expect("are established");
}

/// Clients of the shared control plane, as its admin.
pub async fn cluster() -> Cluster {
    let plane = plane().await;
    let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Cluster::new(config, PATIENCE).unwrap()
}

/// A new database in the shared server.
pub async fn database(name: &str) -> String {
    Postgres::shared()
        .await
        .expect("a PostgreSQL server")
        .create_database(name)
        .await
        .unwrap()
}

/// The fleet that most tests use: a calm day at the real operator.
pub fn tcs() -> Config {
    Config {
        username: USERNAME.into(),
        password: PASSWORD.into(),
        ..Config::default()
    }
}

/// The same behind a certificate that nobody signed.
pub fn tls_tcs() -> Config {
    Config {
        transport: Transport::SelfSigned,
        ..tcs()
    }
}

pub fn credentials() -> Value {
    json!({"username": USERNAME, "password": PASSWORD})
}

/// Every region that the simulator lists.
pub fn region_ids() -> Vec<i64> {
    vec![1073, 1074, 1075, 1079]
}

pub fn slow_search(ms: u64) -> Rule {
    Rule::on(Endpoint::Search, Fault::Latency { ms })
}

pub fn hanging_search() -> Rule {
    Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None })
}

/// Not 503, which is sent again within the fetch while other requests are under way.
pub fn failing_search() -> Rule {
    Rule::on(
        Endpoint::Search,
        Fault::Status {
            status: 500,
            body: None,
        },
    )
}

pub fn html_search() -> Rule {
    Rule::on(Endpoint::Search, Fault::Html)
}

pub fn challenge() -> Rule {
    Rule::on(Endpoint::Login, Fault::Challenge { result: None })
}

/// Merges `changes` into `into`, objects field by field.
pub fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}
