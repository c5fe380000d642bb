//! The objects as the watch caches have them, and the few changes that callers ask for.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use moka::future::Cache;
use serde_json::Value;
use uuid::Uuid;

use super::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::{TaranaSync, TaranaSyncSpec};
use crate::cluster::{Kind, Scope, Watched};

/// By then the cache has what was created, or it was deleted again.
const CATCHES_UP: Duration = Duration::from_secs(30);

/// A kind that is watched.
pub trait Shown: Kind + serde::Serialize {
    /// Name of the resource, as in a rule of RBAC.
    const RESOURCE: &'static str;
    /// Its part of a scope.
    fn of(scope: &Scope) -> &Watched<Self>;
}

impl Shown for TaranaSync {
    const RESOURCE: &'static str = "taranasyncs";
    fn of(scope: &Scope) -> &Watched<Self> {
        &scope.syncs
    }
}

impl Shown for TaranaSyncSchedule {
    const RESOURCE: &'static str = "taranasyncschedules";
    fn of(scope: &Scope) -> &Watched<Self> {
        &scope.schedules
    }
}

impl Shown for TaranaConnection {
    const RESOURCE: &'static str = "taranaconnections";
    fn of(scope: &Scope) -> &Watched<Self> {
        &scope.connections
    }
}

/// What is watched, and the way to change it.
pub struct Objects {
    client: Client,
    scopes: Arc<Vec<Scope>>,
    /// Runs that were created here and the cache may not have yet.
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
    /// Over the caches of this process.
    pub fn new(client: Client, scopes: Arc<Vec<Scope>>) -> Self {
        let created = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(CATCHES_UP)
            .build();
        Self {
            client,
            scopes,
            created,
        }
    }

    /// The kinds that were not listed yet, and where.
    pub fn unlisted(&self) -> Vec<String> {
        let place = |scope: &Scope| {
            scope
                .namespace
                .clone()
                .unwrap_or_else(|| "all namespaces".to_owned())
        };
        let of = |scope| {
            Scope::unlisted(scope)
                .into_iter()
                .map(move |kind| format!("{kind} of {}", place(scope)))
        };
        self.scopes.iter().flat_map(of).collect()
    }

    /// Before everything was listed once, nothing can be told from what is missing.
    pub fn known(&self) -> Result<(), Problem> {
        match self.unlisted() {
            unlisted if unlisted.is_empty() => Ok(()),
            unlisted => Err(Problem::Unavailable(format!(
                "not read yet: {}",
                unlisted.join(", ")
            ))),
        }
    }

    /// One object by its name.
    pub fn get<K: Shown>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let object = ObjectRef::new(name).within(namespace);
        let mut holding = self.scopes.iter().filter(|scope| scope.holds(namespace));
        holding.find_map(|scope| K::of(scope).reader().get(&object))
    }

    /// All objects of a namespace, or of all, that are wanted.
    pub fn all<K: Shown>(&self, namespace: Option<&str>, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let here = |object: &K| namespace.is_none_or(|ns| object.meta().namespace.as_deref() == Some(ns));
        let holding = self
            .scopes
            .iter()
            .filter(|scope| namespace.is_none_or(|ns| scope.holds(ns)));
        holding
            .flat_map(|scope| K::of(scope).reader().state_filter(|o| here(o) && wanted(o)))
            .collect()
    }

    /// A run by its id, one that was created here a moment ago included.
    pub async fn run(&self, id: Uuid) -> Option<Arc<TaranaSync>> {
        let uid = id.to_string();
        let is_it = |sync: &TaranaSync| sync.metadata.uid.as_deref() == Some(&uid);
        let cached = self
            .scopes
            .iter()
            .find_map(|scope| scope.syncs.reader().find(is_it));
        match cached {
            None => self.created.get(&id).await,
            found => found,
        }
    }

    /// Creates a run; `None` where one of that name exists.
    pub async fn create(
        &self,
        namespace: &str,
        name: &str,
        spec: TaranaSyncSpec,
    ) -> Result<Option<Arc<TaranaSync>>, Problem> {
        let object = TaranaSync::new(name, spec);
        match self
            .api::<TaranaSync>(namespace)
            .create(&PostParams::default(), &object)
            .await
        {
            Ok(sync) => {
                let sync = Arc::new(sync);
                self.created.insert(id_of(&sync), Arc::clone(&sync)).await;
                Ok(Some(sync))
            }
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => {
                Ok(None)
            }
            Err(error) => Err(Problem::of_kubernetes(error)),
        }
    }

    /// The object as the API server has it now.
    pub async fn fresh<K: Shown>(&self, namespace: &str, name: &str) -> Result<Option<K>, Problem> {
        self.api::<K>(namespace)
            .get_opt(name)
            .await
            .map_err(Problem::of_kubernetes)
    }

    /// Changes one object, and no other of the same name.
    pub async fn change<K: Shown>(&self, object: &K, mut patch: Value) -> Result<K, Problem> {
        patch["metadata"]["uid"] = Value::from(object.uid());
        let api = self.api::<K>(&object.namespace().unwrap_or_default());
        let patched = api
            .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        patched.map_err(Problem::of_kubernetes)
    }

    fn api<K: Shown>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The id of a run.
pub fn id_of(sync: &TaranaSync) -> Uuid {
    sync.metadata
        .uid
        .as_deref()
        .and_then(|uid| uid.parse().ok())
        .unwrap_or_default()
}
