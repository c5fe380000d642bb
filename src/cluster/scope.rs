//! The watch caches of the three kinds, for one namespace or for all.

use futures::FutureExt;
use futures::future::{BoxFuture, Future, select_all};

use super::clients::Cluster;
use super::watch_cache::WatchCache;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// One watch cache per kind, for a namespace or for all.
#[derive(Debug)]
pub struct Scope {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Connections.
    pub connections: WatchCache<TaranaConnection>,
    /// Runs.
    pub syncs: WatchCache<TaranaSync>,
    /// Schedules.
    pub schedules: WatchCache<TaranaSyncSchedule>,
}

impl Scope {
    /// A scope for each namespace, or one for all if none is named, and the future that keeps their caches current.
    pub fn create(cluster: &Cluster, namespaces: &[String]) -> (Vec<Self>, impl Future<Output = ()> + use<>) {
        let selected: Vec<Option<String>> = match namespaces {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        tracing::info!(scopes = ?selected.iter().map(|s| s.as_deref().unwrap_or("all namespaces")).collect::<Vec<_>>(), "watching");
        let mut updates: Vec<BoxFuture<'static, ()>> = Vec::new();
        let scopes = selected.into_iter().map(|namespace| {
            let only = namespace.as_deref();
            let (connections, connection_updates) = WatchCache::new(cluster, only);
            let (syncs, sync_updates) = WatchCache::new(cluster, only);
            let (schedules, schedule_updates) = WatchCache::new(cluster, only);
            updates.extend([
                connection_updates.boxed(),
                sync_updates.boxed(),
                schedule_updates.boxed(),
            ]);
            Self {
                namespace,
                connections,
                syncs,
                schedules,
            }
        });
        let scopes = scopes.collect();
        (scopes, select_all(updates).map(drop))
    }

    /// Lists everything again and waits for the result, see [`WatchCache::refresh`].
    pub async fn refresh(&self) {
        tokio::join!(
            self.connections.refresh(),
            self.syncs.refresh(),
            self.schedules.refresh()
        );
    }

    /// Waits until the caches are synced.
    pub async fn wait_until_synced(&self) {
        tokio::join!(
            self.connections.wait_until_synced(),
            self.syncs.wait_until_synced(),
            self.schedules.wait_until_synced()
        );
    }

    /// Whether this scope contains a namespace.
    pub fn contains(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// The kinds whose caches are not synced yet.
    pub fn unsynced_kinds(&self) -> Vec<&'static str> {
        let kinds = [
            ("TaranaConnections", self.connections.is_synced()),
            ("TaranaSyncs", self.syncs.is_synced()),
            ("TaranaSyncSchedules", self.schedules.is_synced()),
        ];
        let unsynced = kinds.into_iter().filter(|(_, synced)| !synced);
        unsynced.map(|(kind, _)| kind).collect()
    }
}
