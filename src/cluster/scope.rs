//! The watch caches of a namespace or of all, and how their objects are found.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Future, select_all};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt};

use super::clients::Cluster;
use super::watch_cache::{CacheConfig, WatchCache};
use super::watch_selector::WatchSelector;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// The metadata of a Secret. The content is read when it is used, and not even requested by the watch.
pub type SecretMeta = PartialObjectMeta<Secret>;

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
    /// Secrets.
    pub secrets: WatchCache<SecretMeta>,
}

impl Scope {
    /// A scope for each namespace, or one for all if none is named, and the future that keeps their caches current.
    /// Secrets belong to connections and are not selected.
    pub fn create(
        cluster: &Cluster,
        namespaces: &[String],
        selector: &WatchSelector,
    ) -> (Vec<Self>, impl Future<Output = ()> + use<>) {
        let mut selected: Vec<Option<String>> = namespaces.iter().cloned().map(Some).collect();
        // Two controllers for one namespace would fence each other.
        selected.sort();
        selected.dedup();
        if selected.is_empty() {
            selected.push(None);
        }
        tracing::info!(scopes = ?selected.iter().map(|s| s.as_deref().unwrap_or("all namespaces")).collect::<Vec<_>>(), %selector, "watching");
        let selector = Arc::new(selector.clone());
        let (scopes, updates): (Vec<_>, Vec<_>) = selected
            .into_iter()
            .map(|namespace| Self::watch(cluster, namespace, &selector))
            .unzip();
        (scopes, select_all(updates).map(drop))
    }

    fn watch(
        cluster: &Cluster,
        namespace: Option<String>,
        selector: &Arc<WatchSelector>,
    ) -> (Self, BoxFuture<'static, ()>) {
        let only = namespace.as_deref();
        let (connections, connection_updates) = WatchCache::new(cluster, only, selector, &config());
        let (syncs, sync_updates) = WatchCache::new(
            cluster,
            only,
            selector,
            &CacheConfig {
                index: sync_keys,
                trim: trim_sync,
            },
        );
        let (schedules, schedule_updates) = WatchCache::new(cluster, only, selector, &config());
        let metadata = CacheConfig {
            index: |_: &SecretMeta| Vec::new(),
            trim: trim_secret,
        };
        let (secrets, secret_updates) = WatchCache::new(cluster, only, &Arc::default(), &metadata);
        let updates = select_all([
            connection_updates.boxed(),
            sync_updates.boxed(),
            schedule_updates.boxed(),
            secret_updates.boxed(),
        ]);
        let scope = Self {
            namespace,
            connections,
            syncs,
            schedules,
            secrets,
        };
        (scope, updates.map(drop).boxed())
    }

    /// Lists everything again and waits for the result, see [`WatchCache::refresh`].
    pub async fn refresh(&self) {
        tokio::join!(
            self.connections.refresh(),
            self.syncs.refresh(),
            self.schedules.refresh(),
            self.secrets.refresh()
        );
    }

    /// Waits until the caches are synced.
    pub async fn wait_until_synced(&self) {
        tokio::join!(
            self.connections.wait_until_synced(),
            self.syncs.wait_until_synced(),
            self.schedules.wait_until_synced(),
            self.secrets.wait_until_synced()
        );
    }

    /// Whether this scope contains a namespace.
    pub fn contains(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// The caches that are not synced yet, and why if their watches fail.
    pub fn unsynced(&self) -> Vec<String> {
        let namespace = self.namespace.as_deref().unwrap_or("all namespaces");
        let caches = [
            (
                "TaranaConnections",
                self.connections.is_synced(),
                self.connections.problem(),
            ),
            ("TaranaSyncs", self.syncs.is_synced(), self.syncs.problem()),
            (
                "TaranaSyncSchedules",
                self.schedules.is_synced(),
                self.schedules.problem(),
            ),
            ("Secrets", self.secrets.is_synced(), self.secrets.problem()),
        ];
        let unsynced = caches.into_iter().filter(|(_, synced, _)| !synced);
        let describe = |(kind, _, problem): (&str, bool, Option<String>)| match problem {
            Some(problem) => format!("{kind} of {namespace} ({problem})"),
            None => format!("{kind} of {namespace}"),
        };
        unsynced.map(describe).collect()
    }
}

/// The key of the unfinished runs of a connection.
pub fn unfinished_on(namespace: &str, connection: &str) -> String {
    format!("unfinished/{namespace}/{connection}")
}

/// The key of the runs of a schedule, by its uid.
pub fn owned_by(schedule_uid: &str) -> String {
    format!("owner/{schedule_uid}")
}

/// Name and uid of the schedule that owns a run.
pub fn owning_schedule(sync: &TaranaSync) -> Option<(&str, &str)> {
    let owners = sync.metadata.owner_references.as_deref().unwrap_or_default();
    let (kind, version) = (
        TaranaSyncSchedule::kind(&()),
        TaranaSyncSchedule::api_version(&()),
    );
    let owner = owners
        .iter()
        .find(|o| o.controller == Some(true) && o.kind == kind && o.api_version == version)?;
    Some((&owner.name, &owner.uid))
}

fn sync_keys(sync: &TaranaSync) -> Vec<String> {
    let unfinished = (!sync.is_final()).then(|| {
        unfinished_on(
            &sync.namespace().unwrap_or_default(),
            &sync.spec.connection_ref.name,
        )
    });
    let owned = owning_schedule(sync).map(|(_, uid)| owned_by(uid));
    unfinished.into_iter().chain(owned).collect()
}

fn config<K: ResourceExt>() -> CacheConfig<K> {
    CacheConfig {
        index: |_| Vec::new(),
        trim: drop_applied_configuration,
    }
}

/// The annotation in which `kubectl apply` keeps a copy of the whole object.
fn drop_applied_configuration<K: ResourceExt>(object: &mut K) {
    object
        .annotations_mut()
        .remove("kubectl.kubernetes.io/last-applied-configuration");
}

/// There may be tens of thousands of runs, and a map of one label takes half a kilobyte. Only the name of the schedule is read, and an
/// owned run has it in its owner reference.
fn trim_sync(sync: &mut TaranaSync) {
    let is_owned = owning_schedule(sync).is_some();
    sync.metadata.annotations = None;
    sync.metadata.labels = sync.metadata.labels.take().filter(|_| !is_owned);
    if let Some(owners) = &mut sync.metadata.owner_references {
        owners.shrink_to_fit();
    }
    if let Some(status) = &mut sync.status {
        status.conditions.shrink_to_fit();
    }
}

fn trim_secret(secret: &mut SecretMeta) {
    let metadata = &mut secret.metadata;
    (metadata.annotations, metadata.labels) = (None, None);
    (metadata.finalizers, metadata.owner_references) = (None, None);
}
