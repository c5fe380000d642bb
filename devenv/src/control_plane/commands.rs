//! The command lines of etcd, kube-apiserver and kube-controller-manager.

use std::path::Path;

use crate::process_group::ServerCommand;
use crate::spawner::StopSignal;
use crate::tools::Tools;

pub(super) const AUDIT_LOG: &str = "audit.log";
pub(super) const AUDIT_POLICY: &str = "audit-policy.yaml";
pub(super) const TOKENS: &str = "tokens.csv";
/// Signs service account tokens.
pub(super) const SIGNING_KEY: &str = "service-accounts.key";
/// Verifies service account tokens.
pub(super) const VERIFYING_KEY: &str = "service-accounts.pub";
/// Written by the API server: its certificate and the CA's.
pub(super) const CERTIFICATE: &str = "pki/apiserver.crt";

/// The servers' ports on the loopback address.
pub(super) struct Ports {
    pub(super) etcd: u16,
    peer: u16,
    pub(super) api: u16,
    controllers: u16,
}

impl From<[u16; 4]> for Ports {
    fn from([etcd, peer, api, controllers]: [u16; 4]) -> Self {
        Self {
            etcd,
            peer,
            api,
            controllers,
        }
    }
}

pub(super) fn etcd(tools: &Tools, folder: &Path, ports: &Ports) -> ServerCommand {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let args = vec![
        format!("--data-dir={}/etcd", folder.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // A single member needs no long election: saves 0.3 s.
        "--heartbeat-interval=10".into(),
        "--election-timeout=50".into(),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ];
    server("etcd", &tools.etcd, args)
}

pub(super) fn api(tools: &Tools, folder: &Path, ports: &Ports) -> ServerCommand {
    let folder = folder.display();
    let args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={}", ports.api),
        format!("--cert-dir={folder}/pki"),
        format!("--token-auth-file={folder}/{TOKENS}"),
        "--authorization-mode=RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-signing-key-file={folder}/{SIGNING_KEY}"),
        format!("--service-account-key-file={folder}/{VERIFYING_KEY}"),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        // The plugin rejects Pods until their namespace's service account exists, and no Pod runs here.
        "--disable-admission-plugins=ServiceAccount".into(),
        // Some distributions enable it. It requires permissions beyond those for the request itself.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".into(),
        format!("--audit-policy-file={folder}/{AUDIT_POLICY}"),
        format!("--audit-log-path={folder}/{AUDIT_LOG}"),
    ];
    server("kube-apiserver", &tools.kube_apiserver, args)
}

pub(super) fn controllers(tools: &Tools, folder: &Path, ports: &Ports) -> Option<ServerCommand> {
    let folder = folder.display();
    let args = vec![
        format!("--kubeconfig={folder}/kubeconfig"),
        "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller".into(),
        "--leader-elect=false".into(),
        format!("--service-account-private-key-file={folder}/{SIGNING_KEY}"),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={}", ports.controllers),
        format!("--cert-dir={folder}/controllers-pki"),
    ];
    tools
        .kube_controller_manager
        .as_deref()
        .map(|program| server("kube-controller-manager", program, args))
}

fn server(name: &'static str, program: &Path, args: Vec<String>) -> ServerCommand {
    // On SIGTERM the API server drains for up to a minute.
    ServerCommand {
        name,
        program: program.to_owned(),
        args,
        user: None,
        stop_signal: StopSignal::Kill,
    }
}
