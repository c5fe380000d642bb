//! The composition root: creates the watch caches, the controllers and the admin API, and runs them until shutdown.

mod admin_config;
mod invalid_objects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::select_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use uuid::Uuid;

pub use self::admin_config::InvalidAdminFlags;

use crate::cli::Run;
use crate::cluster::{Cluster, Scope};
use crate::connection::Registries;
use crate::leader::{self, Election, Leadership};
use crate::metrics::Metrics;
use crate::monitoring::{self, Endpoint, Health};
use crate::notify::Notifier;
use crate::store::Retention;
use crate::webhook::AddressPolicy;
use crate::{admin, connection, delivery, schedule, sync};

/// Configuration of the operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Watched namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Name of this process in Events and in the Lease.
    pub identity: String,
    /// Leader election; `None` runs the controllers at once.
    pub election: Option<Election>,
    /// Whether the operator may create and migrate tables.
    pub migrate: bool,
    /// How often a verified connection is probed again.
    pub probe_interval: Duration,
    /// Which addresses the event sinks may have.
    pub sink_addresses: AddressPolicy,
    /// For how long rows are kept.
    pub retention: Retention,
    /// The admin API; `None` does not serve it.
    pub admin: Option<admin::Config>,
    /// Listen address of metrics and probes; `None` does not serve them.
    pub metrics_listen: Option<SocketAddr>,
    /// Counts what happens.
    pub metrics: Metrics,
}

impl Config {
    /// The configuration according to the flags. `namespace` is the default namespace of its own objects and of requests.
    ///
    /// # Errors
    /// If the flags of the admin API are invalid.
    pub fn from_flags(flags: &Run, namespace: &str, metrics: Metrics) -> Result<Self, Error> {
        let identity = flags.identity.clone().unwrap_or_else(random_identity);
        let own = flags.lease_namespace.as_deref().unwrap_or(namespace);
        let election = flags.leader_elect.then(|| Election {
            namespace: own.to_owned(),
            lease: flags.lease_name.clone(),
            identity: identity.clone(),
        });
        let sink_addresses = AddressPolicy::new(flags.sink_allow_cidrs.clone());
        Ok(Self {
            // An empty environment variable yields an empty name.
            namespaces: flags
                .watch_namespaces
                .iter()
                .filter(|ns| !ns.is_empty())
                .cloned()
                .collect(),
            identity,
            election,
            migrate: flags.migrate,
            probe_interval: Duration::from_secs(flags.resync_seconds),
            retention: flags.retention.days(),
            admin: admin_config::from_flags(&flags.admin, (namespace, own), sink_addresses.clone())?,
            sink_addresses,
            metrics_listen: admin_config::listen_address("--metrics-listen", &flags.metrics_listen)?,
            metrics,
        })
    }
}

/// A name for a process that was given none.
pub fn random_identity() -> String {
    format!("tarana-operator-{}", Uuid::new_v4().simple())
}

/// Why the operator stopped or could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Leader election failed.
    #[error("leader election failed: {0}")]
    Election(#[from] kube_lease_manager::LeaseManagerError),
    /// Signal handlers could not be installed.
    #[error("signal handlers could not be installed: {0}")]
    Signals(#[from] std::io::Error),
    /// The flags of the admin API are invalid.
    #[error(transparent)]
    AdminFlags(#[from] InvalidAdminFlags),
    /// The admin API failed.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Metrics and probes are not served.
    #[error(transparent)]
    Monitoring(#[from] monitoring::Error),
    /// A controller or watch cache ended, although it must run until shutdown.
    #[error("a controller or watch cache ended unexpectedly")]
    Ended,
}

/// Runs until SIGTERM or Ctrl-C.
pub async fn run(cluster: Cluster, config: Config) -> Result<(), Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let operator = run_until(cluster, config, stopped);
    tokio::pin!(operator);
    tokio::select! {
        result = &mut operator => return result,
        _ = terminate.recv() => tracing::info!("shutting down (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("shutting down (Ctrl-C)"),
    }
    let _ = stop.send(true);
    operator.await
}

/// Runs until `stop` is true or its sender is dropped.
pub async fn run_until(cluster: Cluster, config: Config, stop: watch::Receiver<bool>) -> Result<(), Error> {
    let (scopes, cache_updates) = Scope::create(&cluster, &config.namespaces);
    let replica = Replica {
        cluster,
        config,
        scopes: Arc::new(scopes),
        leadership: Leadership::default(),
        registries: Registries::default(),
        started: Instant::now(),
    };
    let (schemas, client) = (
        replica.cluster.served_schemas.clone(),
        replica.cluster.controllers.clone(),
    );
    let admin = replica.serve_admin_api(stop.clone()).boxed();
    let monitoring = replica.serve_monitoring(stop.clone()).boxed();
    let controllers = replica.run_controllers_until(stop).boxed();
    tokio::select! {
        () = cache_updates => Err(Error::Ended),
        () = schemas.run(client) => Err(Error::Ended),
        // All end with `stop`, the admin API after the requests in progress.
        result = async { tokio::try_join!(controllers, admin, monitoring) } => result.map(drop),
    }
}

/// What the parts of a replica share.
struct Replica {
    cluster: Cluster,
    config: Config,
    scopes: Arc<Vec<Scope>>,
    leadership: Leadership,
    registries: Registries,
    started: Instant,
}

impl Replica {
    async fn serve_admin_api(&self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let Some(admin) = self.config.admin.clone() else {
            return Ok(());
        };
        let shutdown = async move { stopped(&mut stop).await };
        let client = self.cluster.admin.clone();
        let notifier = Notifier::new(client.clone(), self.config.identity.clone());
        let process = admin::Process {
            identity: self.config.identity.clone(),
            started: self.started,
            health: self.health(),
            election: self.config.election.clone(),
            registries: self.registries.clone(),
        };
        Ok(admin::serve(admin, client, process, notifier, shutdown).await?)
    }

    fn health(&self) -> Health {
        Health {
            scopes: self.scopes.clone(),
            watch_activity: self.cluster.watch_activity.clone(),
            served_schemas: self.cluster.served_schemas.clone(),
            leadership: self.leadership.clone(),
        }
    }

    async fn serve_monitoring(&self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let Some(address) = self.config.metrics_listen else {
            return Ok(());
        };
        let shutdown = async move { stopped(&mut stop).await };
        let endpoint = Endpoint::new(&self.config.metrics, self.health());
        Ok(endpoint.serve(address, shutdown).await?)
    }

    /// Runs the controllers, with leader election only while this process leads.
    async fn run_controllers_until(&self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let controllers_stop = stop.clone();
        let controllers = || {
            let mut stop = controllers_stop.clone();
            async move {
                tokio::select! {
                    () = self.run_controllers() => Err(Error::Ended),
                    () = stopped(&mut stop) => Ok(()),
                }
            }
        };
        match &self.config.election {
            None => controllers().await,
            Some(election) => tokio::select! {
                biased;
                result = leader::lead(self.cluster.lease.clone(), election.clone(), controllers) => result?,
                () = stopped_after_grace(&mut stop) => Ok(()),
            },
        }
    }

    /// Runs the controllers of all scopes. Ends when one of them ends, which is an error.
    async fn run_controllers(&self) {
        let _leading = self.config.metrics.runs.lead();
        let scopes = self.scopes.iter();
        let controllers = select_all(scopes.map(|scope| self.run_scope(scope).boxed()));
        tokio::select! {
            _ = controllers => {}
            () = self.leadership.hold() => {}
        }
    }

    /// Runs the controllers of one scope.
    async fn run_scope(&self, scope: &Scope) {
        let (cluster, config) = (&self.cluster, &self.config);
        if config.election.is_some() {
            // The cache may be behind the writes of the previous leader.
            scope.refresh().await;
        }
        // Until then, an object may look missing because its cache is not synced.
        scope.wait_until_synced().await;
        let client = cluster.controllers.clone();
        let notifier = Notifier::new(client.clone(), config.identity.clone());
        let (connections, probe_requests) = connection::Connections::new(scope.connections.reader());
        let connections = Arc::new(connections);
        self.registries.add(&connections);
        let connection_context = Arc::new(connection::ConnectionContext {
            client: client.clone(),
            connections: connections.clone(),
            syncs: scope.syncs.clone(),
            notifier: notifier.clone(),
            metrics: config.metrics.clone(),
            migrate: config.migrate,
            probe_interval: config.probe_interval,
        });
        let schedule_context = Arc::new(schedule::ScheduleContext::new(
            client.clone(),
            scope,
            (notifier.clone(), config.metrics.clone()),
        ));
        let (sync_context, requeued) = sync::SyncContext::new(
            client.clone(),
            connections.clone(),
            scope.syncs.clone(),
            (notifier.clone(), config.metrics.clone()),
            cluster.uid().await,
        );
        let sync_context = Arc::new(sync_context);
        let delivery_context = delivery::DeliveryContext::new(
            client.clone(),
            scope,
            connections,
            (notifier.clone(), config.metrics.clone()),
            config.sink_addresses.clone(),
        );
        tokio::select! {
            () = connection::controller::run(connection_context, scope, probe_requests) => {}
            () = sync::controller::run(sync_context.clone(), scope, requeued) => {}
            () = sync::sweep::run(sync_context.clone()) => {}
            () = sync::retention::run(sync_context, config.retention) => {}
            () = schedule::controller::run(schedule_context, scope) => {}
            () = delivery::worker::run(delivery_context) => {}
            () = invalid_objects::run(scope, &client, &notifier) => {}
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Leaves the leader time to release its Lease.
async fn stopped_after_grace(stop: &mut watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
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
        let config = Config::from_flags(&flags, "home", Metrics::default()).unwrap();
        assert_eq!(config.namespaces, ["a", "b"]);
        let election = config.election.unwrap();
        assert_eq!(
            (election.namespace.as_str(), election.identity.as_str()),
            ("home", "me")
        );
        assert!(config.migrate && config.probe_interval == Duration::from_mins(10));
    }
}
