//! The servers that all tests of the binary share, and common rules for the simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use devenv::simulator::{Config, Endpoint, Fault, FleetConfig, Rule, Transport};
use devenv::{ControlPlane, Postgres};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tarana_operator::cluster::Cluster;
use tarana_operator::metrics::KubernetesMetrics;
use tokio::sync::OnceCell;

use super::environment::wait_until;
use super::operator_rights;

pub const USERNAME: &str = "operator@example.com";
pub const PASSWORD: &str = "correct horse";
/// Timeout of requests to the API server, for a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The shared control plane with the CRDs.
pub async fn plane() -> &'static ControlPlane {
    static CRDS: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.expect("a control plane");
    CRDS.get_or_init(|| install_crds(plane)).await;
    plane
}

/// The same with the chart's RBAC for its service account.
pub async fn plane_with_rbac() -> &'static ControlPlane {
    static RBAC: OnceCell<()> = OnceCell::const_new();
    let plane = plane().await;
    RBAC.get_or_init(|| operator_rights::install_rbac(plane)).await;
    plane
}

/// Installs the CRDs and waits until they are served.
pub async fn install_crds(plane: &ControlPlane) {
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

/// Clients of the shared control plane with the rights of this user.
pub async fn cluster_as(user: String) -> Cluster {
    let mut config = config_of(plane().await.kubeconfig()).await;
    config.auth_info.impersonate = Some(user);
    Cluster::new(config, REQUEST_TIMEOUT, KubernetesMetrics::default()).unwrap()
}

/// Clients of a control plane with admin rights.
pub async fn cluster_of(plane: &ControlPlane) -> Cluster {
    cluster_with(plane.kubeconfig()).await
}

/// Clients with the rights of this kubeconfig.
pub async fn cluster_with(kubeconfig: &Path) -> Cluster {
    let config = config_of(kubeconfig).await;
    Cluster::new(config, REQUEST_TIMEOUT, KubernetesMetrics::default()).unwrap()
}

async fn config_of(kubeconfig: &Path) -> kube::Config {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap()
}

/// Creates a database on the shared server.
pub async fn database(name: &str) -> String {
    Postgres::shared()
        .await
        .expect("a PostgreSQL server")
        .create_database(name)
        .await
        .unwrap()
}

/// The configuration that most tests use: the fleet of a real operator, without faults.
pub fn tcs() -> Config {
    Config {
        username: USERNAME.into(),
        password: PASSWORD.into(),
        ..Config::default()
    }
}

/// The same with this number of base nodes and no other devices.
pub fn tcs_with(base_nodes: usize) -> Config {
    let fleet = FleetConfig {
        base_nodes,
        training_nodes: 0,
        remote_nodes: 0,
        ..FleetConfig::default()
    };
    Config { fleet, ..tcs() }
}

/// [`tcs`] with a self-signed certificate.
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

/// Not 503, which the client retries within an attempt.
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

/// An address of this host that no server uses.
pub fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, devenv::free_port().unwrap()))
}

/// Waits until the admin API at this URL is ready.
pub async fn wait_until_ready(url: &str) {
    let http = reqwest::Client::new();
    wait_until(&format!("the admin API at {url} is ready"), || async {
        let response = http.get(format!("{url}/readyz")).send().await.ok()?;
        (response.status() == 200).then_some(())
    })
    .await;
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
