//! Puts the parts together and runs them until the process is told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::select_all;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use uuid::Uuid;

use crate::cli::Run;
use crate::leader::{self, Election};
use crate::notify::Notifier;
use crate::{connection, sync};

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
}

impl Config {
    /// What the command line says. `namespace` is where the Lease lives unless another is named.
    pub fn of(flags: &Run, namespace: &str) -> Self {
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
        Self {
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
        }
    }
}

/// Why the operator ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process could not be told apart from others.
    #[error("leader election ended: {0}")]
    Election(#[from] kube_lease_manager::LeaseManagerError),
    /// The system refused to tell of signals.
    #[error("signals cannot be awaited: {0}")]
    Signals(#[from] std::io::Error),
    /// A part that should run for ever has ended.
    #[error("a controller ended by itself")]
    Ended,
}

/// Runs until SIGTERM or Ctrl-C.
pub async fn run(client: Client, config: Config) -> Result<(), Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    let work = run_until(client, config, stopped);
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
pub async fn run_until(client: Client, config: Config, stop: watch::Receiver<bool>) -> Result<(), Error> {
    let work = || {
        let (client, config, mut stop) = (client.clone(), config.clone(), stop.clone());
        async move {
            tokio::select! {
                () = work(client, &config) => Err(Error::Ended),
                () = stopped(&mut stop) => Ok(()),
            }
        }
    };
    let mut stop = stop.clone();
    match &config.election {
        None => work().await,
        Some(election) => tokio::select! {
            biased;
            outcome = leader::lead(client.clone(), election.clone(), work) => outcome?,
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
async fn work(client: Client, config: &Config) {
    let scopes: Vec<Option<&str>> = match config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().map(|ns| Some(ns.as_str())).collect(),
    };
    tracing::info!(scopes = ?scopes.iter().map(|s| s.unwrap_or("all namespaces")).collect::<Vec<_>>(), "watching");
    select_all(
        scopes
            .into_iter()
            .map(|scope| Box::pin(in_scope(client.clone(), config, scope))),
    )
    .await;
}

/// The controllers of one namespace, or of all.
fn in_scope(client: Client, config: &Config, namespace: Option<&str>) -> impl Future<Output = ()> + use<> {
    let (sync_reader, sync_writer) = reflector::store();
    let (connection_reader, connection_writer) = reflector::store();
    let syncs = watcher(scoped(&client, namespace), watcher::Config::default())
        .default_backoff()
        .reflect(sync_writer)
        .touched_objects();
    let connection_objects = watcher(scoped(&client, namespace), watcher::Config::default())
        .default_backoff()
        .reflect(connection_writer)
        .touched_objects();
    // Of Secrets only the names and versions are kept; a Secret is read when a connection is tried.
    let secrets = watcher(
        scoped::<PartialObjectMeta<Secret>>(&client, namespace),
        watcher::Config::default(),
    )
    .default_backoff()
    .touched_objects();
    let connections = Arc::new(connection::Connections::new(connection_reader.clone()));
    let for_connections = Arc::new(connection::controller::Context {
        client: client.clone(),
        connections: connections.clone(),
        migrate: config.migrate,
        recheck_every: config.recheck_every,
    });
    let notifier = Notifier::new(client.clone(), config.identity.clone());
    let for_syncs = Arc::new(sync::Context::new(client, connections, sync_reader, notifier));
    async move {
        tokio::select! {
            () = connection::controller::run(for_connections, connection_reader, connection_objects, secrets.boxed()) => {}
            () = sync::controller::run(for_syncs.clone(), syncs) => {}
            () = sync::sweep::run(for_syncs) => {}
        }
    }
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    namespace.map_or_else(
        || Api::all(client.clone()),
        |ns| Api::namespaced(client.clone(), ns),
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
        let config = Config::of(&flags, "home");
        assert_eq!(config.namespaces, ["a", "b"]);
        let election = config.election.unwrap();
        assert_eq!(
            (election.namespace.as_str(), election.identity.as_str()),
            ("home", "me")
        );
        assert!(config.migrate && config.recheck_every == Duration::from_mins(10));
    }
}
