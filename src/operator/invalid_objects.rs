//! Reports objects that cannot be decoded by an Event, and lets them be deleted.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::cluster::{InvalidObject, Kind, Scope, WatchCache, remove_finalizer};
use crate::fault::Reason;
use crate::notify::{EventSpec, Notifier};
use crate::sync::machine::FINALIZER;

/// When an object whose finalizer could not be removed is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Runs until the caches end.
pub async fn run(scope: &Scope, client: &Client, notifier: &Notifier) {
    let reporter = Reporter { client, notifier };
    tokio::select! {
        () = reporter.report(&scope.connections) => {}
        () = reporter.report(&scope.syncs) => {}
        () = reporter.report(&scope.schedules) => {}
    }
}

/// `resourceVersion` by object.
type Versions<K> = HashMap<ObjectRef<K>, Option<String>>;

struct Reporter<'a> {
    client: &'a Client,
    notifier: &'a Notifier,
}

impl Reporter<'_> {
    async fn report<K: Kind>(&self, cache: &WatchCache<K>) {
        let mut invalid = cache.invalid();
        // The version of each object that was reported, and that needs nothing more.
        let (mut reported, mut done) = (Versions::<K>::new(), Versions::<K>::new());
        loop {
            let objects = invalid.borrow_and_update().clone();
            reported.retain(|name, _| objects.contains_key(name));
            done.retain(|name, _| objects.contains_key(name));
            for (name, object) in objects {
                let version = object.metadata.resource_version.clone();
                if done.get(&name) == Some(&version) {
                    continue;
                }
                if reported.get(&name) != Some(&version) {
                    self.publish::<K>(&object).await;
                    reported.insert(name.clone(), version.clone());
                }
                let api = Api::<K>::namespaced(self.client.clone(), namespace(&object));
                if self.release(&api, &object).await {
                    done.insert(name, version);
                }
            }
            if let Ok(Err(_)) = timeout(RETRY_INTERVAL, invalid.changed()).await {
                return;
            }
        }
    }

    async fn publish<K: Kind>(&self, object: &InvalidObject) {
        let message = format!(
            "ignored, because it cannot be decoded, correct or delete it: {}",
            object.error
        );
        let event = EventSpec::warning(Reason::InvalidObject, message);
        self.notifier.publish(&reference::<K>(object), &event).await;
    }

    /// Removes our finalizer from an object that is being deleted. Returns false if that has to be tried again.
    async fn release<K: Kind>(&self, api: &Api<K>, object: &InvalidObject) -> bool {
        let metadata = &object.metadata;
        if metadata.deletion_timestamp.is_none() {
            return true;
        }
        match remove_finalizer(api, metadata, FINALIZER).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), namespace = namespace(object), name = metadata.name.as_deref(), %error, "the finalizer could not be removed");
                false
            }
        }
    }
}

fn namespace(object: &InvalidObject) -> &str {
    object.metadata.namespace.as_deref().unwrap_or_default()
}

fn reference<K: Kind>(object: &InvalidObject) -> ObjectReference {
    let metadata = object.metadata.clone();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        ..ObjectReference::default()
    }
}
