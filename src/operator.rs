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

use crate::cli::{self, Run};
use crate::cluster::{Cluster, Scope, WatchSelector, watch_config};
use crate::connection::Registries;
use crate::leader::{self, Election, Leadership, Validity};
use crate::metrics::Metrics;
use crate::monitoring::{self, Endpoint, Health};
use crate::notify::Notifier;
use crate::store::{Retention, SessionPools};
use crate::webhook::AddressPolicy;
use crate::{admin, connection, delivery, schedule, sync};

/// Configuration of the operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Watched namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Which objects of them are watched.
    pub selector: WatchSelector,
    /// Name of this process in Events and in the Lease.
    pub identity: String,
    /// Leader election; `None` runs the controllers at once.
    pub election: Option<Election>,
    /// Whether the operator may create and migrate tables.
    pub migrate: bool,
    /// How often a verified connection is probed again.
    pub probe_interval: Duration,
    /// Most sessions with one database as one user.
    pub database_connections: u32,
    /// Most runs that read or write at once.
    pub max_concurrent_syncs: u16,
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
        let identity = identity(flags);
        let watch = &flags.watch;
        let own = watch.lease_namespace.as_deref().unwrap_or(namespace);
        let election = watch.leader_elect.then(|| Election {
            namespace: own.to_owned(),
            lease: watch.lease_name.clone(),
            identity: identity.clone(),
        });
        let sink_addresses = AddressPolicy::new(flags.sink_allow_cidrs.clone());
        Ok(Self {
            namespaces: cli::names(&watch.namespaces),
            selector: watch.selector.clone(),
            identity,
            election,
            migrate: flags.migrate,
            probe_interval: Duration::from_secs(flags.resync_seconds),
            database_connections: flags.database_connections,
            max_concurrent_syncs: flags.max_concurrent_syncs,
            retention: flags.retention.days(),
            admin: admin_config::from_flags(&flags.admin, (namespace, own), sink_addresses.clone())?,
            sink_addresses,
            metrics_listen: admin_config::listen_address("--metrics-listen", &flags.metrics_listen)?,
            metrics,
        })
    }
}

/// The name of the process: the one that it was given, or that of its host with a random suffix.
pub fn identity(flags: &Run) -> String {
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    given(&flags.identity).unwrap_or_else(|| {
        let host = given(&flags.hostname).unwrap_or_else(|| "tarana-operator".to_owned());
        format!("{host}_{}", &Uuid::new_v4().simple().to_string()[..8])
    })
}

/// Why the operator stopped or could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Leader election failed.
    #[error("leader election failed: {0}")]
    Election(#[from] leader::ElectionEnded),
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
    let (scopes, cache_updates) = Scope::create(&cluster, &config.namespaces, &config.selector);
    let replica = Replica {
        pools: SessionPools::new(config.database_connections),
        probes: connection::ProbeLimiter::default(),
        sync_slots: sync::SyncSlots::new(config.max_concurrent_syncs.into(), config.metrics.clone()),
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
    let slots = replica.sync_slots.clone();
    let admin = replica.serve_admin_api(stop.clone()).boxed();
    let monitoring = replica.serve_monitoring(stop.clone()).boxed();
    let controllers = replica.run_controllers_until(stop).boxed();
    tokio::select! {
        () = cache_updates => Err(Error::Ended),
        () = schemas.run(client) => Err(Error::Ended),
        () = slots.pass_on() => Err(Error::Ended),
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
    pools: SessionPools,
    probes: connection::ProbeLimiter,
    sync_slots: sync::SyncSlots,
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
            pools: self.pools.clone(),
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
        let controllers = |validity: Validity| {
            let mut stop = controllers_stop.clone();
            async move {
                tokio::select! {
                    () = self.run_controllers(&validity) => Err(Error::Ended),
                    () = stopped(&mut stop) => Ok(()),
                }
            }
        };
        match &self.config.election {
            None => controllers(Validity::always()).await,
            Some(election) => tokio::select! {
                biased;
                result = leader::lead(self.election_access(), election.clone(), controllers) => result?,
                () = stopped_after_grace(&mut stop) => Ok(()),
            },
        }
    }

    fn election_access(&self) -> leader::Access {
        leader::Access {
            requests: self.cluster.lease.clone(),
            watches: self.cluster.watches.clone(),
            watch_config: watch_config(),
        }
    }

    /// Runs the controllers of all scopes. Ends when one of them ends, which is an error.
    async fn run_controllers(&self, validity: &Validity) {
        let _leading = self.config.metrics.runs.lead();
        let scopes = self.scopes.iter();
        let controllers = select_all(scopes.map(|scope| self.run_scope(scope, validity).boxed()));
        tokio::select! {
            _ = controllers => {}
            () = self.leadership.hold() => {}
        }
    }

    /// Runs the controllers of one scope.
    async fn run_scope(&self, scope: &Scope, validity: &Validity) {
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
            registries: self.registries.clone(),
            syncs: scope.syncs.clone(),
            notifier: notifier.clone(),
            metrics: config.metrics.clone(),
            migrate: config.migrate,
            probe_interval: config.probe_interval,
            pools: self.pools.clone(),
            probes: self.probes.clone(),
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
            (self.sync_slots.clone(), validity.clone()),
            cluster.uid().await,
        );
        let sync_context = Arc::new(sync_context);
        let delivery_context = delivery::DeliveryContext::new(
            client.clone(),
            scope,
            connections,
            (notifier.clone(), config.metrics.clone()),
            (config.sink_addresses.clone(), validity.clone()),
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

    #[test]
    fn run_and_uninstall_watch_the_same() {
        let selector_of = |command: &str, selector: &str| {
            let arguments = ["tarana-operator", command, "--watch-selector", selector];
            Ok::<_, clap::Error>(match Cli::try_parse_from(arguments)?.command {
                Command::Run(flags) => flags.watch.selector.to_string(),
                Command::Uninstall(flags) => flags.watch.selector.to_string(),
                other => panic!("{other:?}"),
            })
        };
        for command in ["run", "uninstall"] {
            assert_eq!(selector_of(command, "shard in (b,a)").unwrap(), "shard in (a,b)");
            assert_eq!(selector_of(command, "").unwrap(), "");
            let error = selector_of(command, "shard>1").unwrap_err().to_string();
            assert!(
                error.contains("'--watch-selector <SELECTOR>'") && error.contains("such as shard=a"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_process_without_a_name_is_named_after_its_host() {
        let identity_of = |args: &[&str]| {
            let Command::Run(mut flags) =
                Cli::parse_from([&["tarana-operator", "run"], args].concat()).command
            else {
                panic!()
            };
            // Not that of the machine of the test.
            flags.hostname = Some("pod-x2x4z".to_owned());
            identity(&flags)
        };
        assert_eq!(identity_of(&["--identity", "me"]), "me");
        let (one, other) = (identity_of(&[]), identity_of(&["--identity", ""]));
        assert!(one.starts_with("pod-x2x4z_") && other.starts_with("pod-x2x4z_"));
        assert_ne!(one, other);
    }
}
