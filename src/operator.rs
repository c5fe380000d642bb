//! Puts the parts together and runs them until the process is told to stop.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::select_all;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use uuid::Uuid;

use crate::cli::{self, Run};
use crate::cluster::{Cluster, Scope, watching};
use crate::leader::{self, Election};
use crate::notify::Notifier;
use crate::{admin, connection, schedule, sync};

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Namespaces that are watched; empty means all.
    pub namespaces: Vec<String>,
    /// Name of this process in Events and in the Lease.
    pub identity: String,
    /// The Lease to win before working; `None` works at once.
    pub election: Option<Election>,
    /// Whether the tables may be made and changed.
    pub migrate: bool,
    /// How long a verified connection is trusted.
    pub recheck_every: Duration,
    /// Where the admin API is served; `None`: nowhere.
    pub admin: Option<admin::Config>,
}

impl Config {
    /// What the command line says. `namespace` is where the Lease lives, and what the admin API means, unless another is named.
    ///
    /// # Errors
    /// An address that is none.
    pub fn of(flags: &Run, namespace: &str) -> Result<Self, Error> {
        let identity = flags
            .identity
            .clone()
            .unwrap_or_else(|| format!("tarana-operator-{}", Uuid::new_v4().simple()));
        let election = flags.leader_elect.then(|| Election {
            namespace: flags
                .lease_namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
            lease: flags.lease_name.clone(),
            identity: identity.clone(),
        });
        Ok(Self {
            // An empty variable is no namespace.
            namespaces: flags
                .watch_namespaces
                .iter()
                .filter(|ns| !ns.is_empty())
                .cloned()
                .collect(),
            identity,
            election,
            migrate: flags.migrate,
            recheck_every: Duration::from_secs(flags.resync_seconds),
            admin: served(&flags.admin, namespace)?,
        })
    }
}

/// Where the admin API is served.
fn served(flags: &cli::Admin, namespace: &str) -> Result<Option<admin::Config>, Error> {
    let address = flags.listen.trim();
    if address.is_empty() {
        return Ok(None);
    }
    let listen = address.parse().map_err(|_| Error::Address(address.to_owned()))?;
    let tls = flags.tls_certificate.clone().zip(flags.tls_key.clone());
    Ok(Some(admin::Config {
        listen,
        tls: tls.map(|(certificate, key)| admin::Tls { certificate, key }),
        defaults: admin::Defaults {
            namespace: flags.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
            connection: flags.connection.clone(),
        },
    }))
}

/// Why the operator ended by itself, or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be told apart from others.
    #[error("leader election ended: {0}")]
    Election(#[from] kube_lease_manager::LeaseManagerError),
    /// The system refused to tell of signals.
    #[error("signals cannot be awaited: {0}")]
    Signals(#[from] std::io::Error),
    /// `--admin-listen` is no address.
    #[error(
        "--admin-listen {0:?} is no address: write [::]:8080, 127.0.0.1:8080 and the like, or nothing to serve no API"
    )]
    Address(String),
    /// The admin API could not be served.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// A part that should run for ever has ended.
    #[error("a controller ended by itself")]
    Ended,
}

/// Runs until SIGTERM or Ctrl-C.
pub async fn run(cluster: Cluster, config: Config) -> Result<(), Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let work = run_until(cluster, config, stopped);
    tokio::pin!(work);
    tokio::select! {
        end = &mut work => return end,
        _ = terminate.recv() => tracing::info!("told to stop (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("told to stop (Ctrl-C)"),
    }
    let _ = stop.send(true);
    work.await
}

/// Runs until `stop` says true, or its sender is gone.
pub async fn run_until(cluster: Cluster, config: Config, stop: watch::Receiver<bool>) -> Result<(), Error> {
    let (scopes, keep) = Scope::all(&cluster, &config.namespaces);
    let scopes = Arc::new(scopes);
    let mut stopping = stop.clone();
    let admin = config.admin.clone();
    let admin = async {
        match admin {
            Some(admin) => {
                let told = async move { stopped(&mut stopping).await };
                admin::serve(admin, cluster.requests.clone(), scopes.clone(), told).await
            }
            None => pending().await,
        }
    };
    tokio::select! {
        () = keep => Err(Error::Ended),
        Err(broken) = admin => Err(broken.into()),
        end = work_until(cluster.clone(), config, scopes.clone(), stop) => end,
    }
}

/// Works, where there is an election only while it leads.
async fn work_until(
    cluster: Cluster,
    config: Config,
    scopes: Arc<Vec<Scope>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let stopping = stop.clone();
    let work = || {
        let (cluster, config, scopes, mut stop) =
            (cluster.clone(), config.clone(), scopes.clone(), stopping.clone());
        async move {
            tokio::select! {
                () = work(&cluster, &config, &scopes) => Err(Error::Ended),
                () = stopped(&mut stop) => Ok(()),
            }
        }
    };
    match &config.election {
        None => work().await,
        Some(election) => tokio::select! {
            biased;
            outcome = leader::lead(cluster.lease.clone(), election.clone(), work) => outcome?,
            () = stopped_for_good(&mut stop) => Ok(()),
        },
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The leader frees its Lease when it stops; one that does not lead has nothing to free, and only waits a moment.
async fn stopped_for_good(stop: &mut watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
}

/// All controllers of all scopes. Ends when one of them does, which none should.
async fn work(cluster: &Cluster, config: &Config, scopes: &[Scope]) {
    select_all(
        scopes
            .iter()
            .map(|scope| in_scope(cluster, config, scope).boxed()),
    )
    .await;
}

/// The controllers of one scope.
async fn in_scope(cluster: &Cluster, config: &Config, scope: &Scope) {
    if config.election.is_some() {
        // What was cached while another one led may be behind what it did.
        scope.refresh().await;
    }
    // Before, a connection or a run that was not heard of yet could not be told from one that is missing.
    scope.known().await;
    let client = cluster.calls.clone();
    // A schedule looks again when one of its runs changes.
    let (touch, touched) = mpsc::unbounded();
    let children = Arc::new(schedule::Children::default());
    let noted = children.clone();
    let syncs = scope.syncs.objects().inspect(move |sync| {
        if let Some(owner) = noted.note(sync) {
            // An error means that nobody listens any more.
            let _ = touch.unbounded_send(owner);
        }
    });
    // Of Secrets only the names and versions are kept; a Secret is read when a connection is tried.
    let secrets = watcher(
        scoped::<PartialObjectMeta<Secret>>(cluster, scope.namespace.as_deref()),
        watching(),
    )
    .default_backoff()
    .touched_objects();
    let connections = Arc::new(connection::Connections::new(scope.connections.reader()));
    let for_connections = Arc::new(connection::controller::Context {
        client: client.clone(),
        connections: connections.clone(),
        migrate: config.migrate,
        recheck_every: config.recheck_every,
    });
    let notifier = Notifier::new(client.clone(), config.identity.clone());
    let for_schedules = Arc::new(schedule::Context::new(
        client.clone(),
        scope.schedules.reader(),
        (scope.syncs.reader(), children),
        connections.clone(),
        notifier.clone(),
    ));
    let for_syncs = Arc::new(sync::Context::new(
        client,
        connections,
        scope.syncs.reader(),
        notifier,
    ));
    tokio::select! {
        () = connection::controller::run(for_connections, scope.connections.reader(), scope.connections.objects(), secrets.boxed()) => {}
        () = sync::controller::run(for_syncs.clone(), syncs) => {}
        () = sync::sweep::run(for_syncs) => {}
        () = schedule::controller::run(for_schedules, scope.schedules.objects(), touched) => {}
    }
}

fn scoped<K>(cluster: &Cluster, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    namespace.map_or_else(
        || Api::all(cluster.watches.clone()),
        |ns| Api::namespaced(cluster.watches.clone(), ns),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    #[test]
    fn flags_become_a_config() {
        let args = [
            "tarana-operator",
            "run",
            "--watch-namespace",
            "a,,b",
            "--identity",
            "me",
        ];
        let Command::Run(flags) = Cli::parse_from(args).command else {
            panic!()
        };
        let config = Config::of(&flags, "home").unwrap();
        assert_eq!(config.namespaces, ["a", "b"]);
        let election = config.election.unwrap();
        assert_eq!(
            (election.namespace.as_str(), election.identity.as_str()),
            ("home", "me")
        );
        assert!(config.migrate && config.recheck_every == Duration::from_mins(10));
    }
}
