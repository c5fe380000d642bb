//! The objects in the watch caches, and the writes that callers request.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use moka::future::Cache;
use serde_json::Value;
use uuid::Uuid;

use super::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::{TaranaSync, TaranaSyncSpec};
use crate::cluster::{Kind, Scope, WatchCache, WatchSelector};

/// By then the watch cache has a created object, or the object was deleted again.
const MAX_CACHE_LAG: Duration = Duration::from_secs(30);

/// Maximum number of Events of one reason that are read.
const MAX_EVENTS: u32 = 500;

/// A kind with a watch cache.
pub trait CachedKind: Kind + serde::Serialize {
    /// Plural name of the resource, as in an RBAC rule.
    const RESOURCE: &'static str;
    /// Its watch cache in a scope.
    fn cache(scope: &Scope) -> &WatchCache<Self>;
}

impl CachedKind for TaranaSync {
    const RESOURCE: &'static str = "taranasyncs";
    fn cache(scope: &Scope) -> &WatchCache<Self> {
        &scope.syncs
    }
}

impl CachedKind for TaranaSyncSchedule {
    const RESOURCE: &'static str = "taranasyncschedules";
    fn cache(scope: &Scope) -> &WatchCache<Self> {
        &scope.schedules
    }
}

impl CachedKind for TaranaConnection {
    const RESOURCE: &'static str = "taranaconnections";
    fn cache(scope: &Scope) -> &WatchCache<Self> {
        &scope.connections
    }
}

/// Reads from the watch caches, writes through the Kubernetes API.
pub struct Objects {
    client: Client,
    scopes: Arc<Vec<Scope>>,
    /// Runs that this process created and the watch cache may not have yet.
    created: Cache<Uuid, Arc<TaranaSync>>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

impl Objects {
    /// Objects over the watch caches of this process.
    pub fn new(client: Client, scopes: Arc<Vec<Scope>>) -> Self {
        let created = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(MAX_CACHE_LAG)
            .build();
        Self {
            client,
            scopes,
            created,
        }
    }

    /// Client of the Kubernetes API.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The caches that are not synced yet.
    pub fn unsynced(&self) -> Vec<String> {
        self.scopes.iter().flat_map(Scope::unsynced).collect()
    }

    /// Rejects the request while a cache is not synced, because a missing object may then exist.
    pub fn require_synced(&self) -> Result<(), Problem> {
        match self.unsynced() {
            unsynced if unsynced.is_empty() => Ok(()),
            unsynced => Err(Problem::Unavailable(format!(
                "not synced yet: {}",
                unsynced.join(", ")
            ))),
        }
    }

    /// The object of that name in the cache.
    pub fn get<K: CachedKind>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let object = ObjectRef::new(name).within(namespace);
        let mut scopes = self.scopes.iter().filter(|scope| scope.contains(namespace));
        scopes.find_map(|scope| K::cache(scope).reader().get(&object))
    }

    /// The cached objects of a namespace, or of all, that `is_selected` selects.
    pub fn list<K: CachedKind>(
        &self,
        namespace: Option<&str>,
        is_selected: impl Fn(&K) -> bool,
    ) -> Vec<Arc<K>> {
        let is_in_namespace =
            |object: &K| namespace.is_none_or(|ns| object.meta().namespace.as_deref() == Some(ns));
        let scopes = self
            .scopes
            .iter()
            .filter(|scope| namespace.is_none_or(|ns| scope.contains(ns)));
        scopes
            .flat_map(|scope| {
                K::cache(scope)
                    .reader()
                    .state_filter(|object| is_in_namespace(object) && is_selected(object))
            })
            .collect()
    }

    /// The cached runs of a connection.
    pub fn syncs_of(&self, namespace: &str, connection: &str) -> Vec<Arc<TaranaSync>> {
        self.list(Some(namespace), |sync: &TaranaSync| {
            sync.spec.connection_ref.name == connection
        })
    }

    /// The cached schedules that start runs of a connection.
    pub fn schedules_of(&self, namespace: &str, connection: &str) -> Vec<Arc<TaranaSyncSchedule>> {
        self.list(Some(namespace), |schedule: &TaranaSyncSchedule| {
            schedule.spec.template.spec.connection_ref.name == connection
        })
    }

    /// The run with that id, from the cache or from the runs that this process has just created.
    pub async fn sync_by_id(&self, id: Uuid) -> Option<Arc<TaranaSync>> {
        let uid = id.to_string();
        let has_id = |sync: &TaranaSync| sync.metadata.uid.as_deref() == Some(&uid);
        let cached = self
            .scopes
            .iter()
            .find_map(|scope| scope.syncs.reader().find(has_id));
        match cached {
            None => self.created.get(&id).await,
            found => found,
        }
    }

    /// Creates a run with the labels by which its connection is selected; `None` if the name is already in use.
    pub async fn create_sync(
        &self,
        namespace: &str,
        name: &str,
        spec: TaranaSyncSpec,
    ) -> Result<Option<Arc<TaranaSync>>, Problem> {
        let connection = self.get::<TaranaConnection>(namespace, &spec.connection_ref.name);
        let mut labels = BTreeMap::new();
        if let Some(connection) = connection {
            self.selector()
                .inherit_labels(connection.metadata.labels.as_ref(), &mut labels);
        }
        let mut object = TaranaSync::new(name, spec);
        object.metadata.labels = Some(labels).filter(|labels| !labels.is_empty());
        match self
            .api::<TaranaSync>(namespace)
            .create(&PostParams::default(), &object)
            .await
        {
            Ok(sync) => {
                let sync = Arc::new(sync);
                self.created.insert(object_id(&*sync), Arc::clone(&sync)).await;
                Ok(Some(sync))
            }
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {
                Ok(None)
            }
            Err(error) => Err(Problem::from_kubernetes(error)),
        }
    }

    /// Whether this operator watches an object that was read from the API server. The callers see no other objects.
    pub fn is_selected(&self, object: &impl Resource) -> bool {
        self.selector().matches(object.meta().labels.as_ref())
    }

    /// Whether this operator watches all objects of its namespaces.
    pub fn selects_all(&self) -> bool {
        self.selector().selects_all()
    }

    /// What a message adds to the statement that an object does not exist.
    pub fn hint(&self) -> String {
        self.selector().hint()
    }

    fn selector(&self) -> &WatchSelector {
        static ALL: LazyLock<WatchSelector> = LazyLock::new(WatchSelector::default);
        // All scopes have the same one.
        self.scopes.first().map_or(&ALL, |scope| scope.syncs.selector())
    }

    /// The object of that name, from the API server instead of the cache. It may belong to another operator, see [`Self::is_selected`].
    pub async fn fetch<K: CachedKind>(&self, namespace: &str, name: &str) -> Result<Option<K>, Problem> {
        self.api::<K>(namespace)
            .get_opt(name)
            .await
            .map_err(Problem::from_kubernetes)
    }

    /// The metadata of all selected objects in a namespace, from the API server: with the managed fields, which the caches leave out.
    pub async fn fetch_metadata<K: CachedKind>(&self, namespace: &str) -> Result<Vec<ObjectMeta>, Problem> {
        let params = ListParams {
            label_selector: self.selector().label_selector(),
            ..ListParams::default()
        };
        let listed = self.api::<K>(namespace).list_metadata(&params).await;
        let objects = listed.map_err(Problem::from_kubernetes)?.items;
        Ok(objects.into_iter().map(|object| object.metadata).collect())
    }

    /// The metadata of one object, from the API server.
    pub async fn fetch_metadata_of<K: CachedKind>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObjectMeta>, Problem> {
        let object = self.api::<K>(namespace).get_metadata_opt(name).await;
        Ok(object
            .map_err(Problem::from_kubernetes)?
            .filter(|object| self.is_selected(object))
            .map(|object| object.metadata))
    }

    /// The Events about the suspension and resumption of schedules. `None` if the operator may not list Events: only the admin API
    /// needs this permission.
    pub async fn suspension_events(&self, namespace: &str) -> Result<Option<Vec<Event>>, Problem> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let mut events = Vec::new();
        for reason in [Reason::Suspended, Reason::Resumed] {
            let selector = format!("regarding.kind=TaranaSyncSchedule,reason={reason}");
            let listed = api
                .list(&ListParams::default().fields(&selector).limit(MAX_EVENTS))
                .await;
            match listed {
                Ok(listed) => events.extend(listed.items),
                Err(kube::Error::Api(status)) if status.code == 403 => return Ok(None),
                Err(error) => return Err(Problem::from_kubernetes(error)),
            }
        }
        Ok(Some(events))
    }

    /// Patches an object. The patch names the uid, so that it fails on a new object of the same name.
    pub async fn patch<K: CachedKind>(&self, object: &K, mut patch: Value) -> Result<K, Problem> {
        patch["metadata"]["uid"] = Value::from(object.uid());
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let patched = api
            .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.map_err(Problem::from_kubernetes)
    }

    fn api<K: CachedKind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The id of an object: its uid.
pub fn object_id(object: &impl Resource) -> Uuid {
    object
        .meta()
        .uid
        .as_deref()
        .and_then(|uid| uid.parse().ok())
        .unwrap_or_default()
}
