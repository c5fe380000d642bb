//! One watch and one cache per kind, shared by the controllers of the leader and by the readers on every replica.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, ObjectRef, Store as Reader};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};

use super::clients::{Cluster, watch_config};

/// Events that are kept for a slow subscriber. One that lags behind reads all objects again.
const BACKLOG: usize = 256;

/// A kind that can be watched.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static
{
}

/// A change of the cache.
#[derive(Clone, Debug)]
pub enum CacheEvent<K> {
    /// An object was created or changed.
    Applied(Arc<K>),
    /// An object was deleted; this is its last state.
    Deleted(Arc<K>),
    /// All objects were listed again.
    Listed,
}

/// The watch cache of a kind in one scope.
#[derive(Debug)]
pub struct WatchCache<K: Kind> {
    reader: Reader<K>,
    events: broadcast::Sender<CacheEvent<K>>,
    /// Number of listings that were requested.
    requested: watch::Sender<u64>,
    /// Number of the newest complete listing; 0 before the first.
    completed: watch::Receiver<u64>,
}

impl<K: Kind> WatchCache<K> {
    /// A cache for a namespace or for all. It is updated while the future runs, which never ends.
    pub fn new(cluster: &Cluster, namespace: Option<&str>) -> (Self, impl Future<Output = ()> + use<K>) {
        let api = namespace.map_or_else(
            || Api::all(cluster.watches.clone()),
            |ns| Api::namespaced(cluster.watches.clone(), ns),
        );
        let (reader, writer) = reflector::store();
        let (events, _) = broadcast::channel(BACKLOG);
        let (requested, requests) = watch::channel(1);
        let (listed, completed) = watch::channel(0);
        let update = update(api, writer, reader.clone(), events.clone(), (requests, listed));
        let cache = Self {
            reader,
            events,
            requested,
            completed,
        };
        (cache, update)
    }

    /// The reflector store.
    pub fn reader(&self) -> Reader<K> {
        self.reader.clone()
    }

    /// Whether all objects have been listed once.
    pub fn is_synced(&self) -> bool {
        *self.completed.borrow() > 0
    }

    /// Subscribes to changes of the cache.
    pub fn subscribe(&self) -> broadcast::Receiver<CacheEvent<K>> {
        self.events.subscribe()
    }

    /// Lists all objects again and waits for the result. A cache may lag by as long as a watch may be silent: acceptable for
    /// readers, but not for a new leader.
    pub async fn refresh(&self) {
        let mut number = 0;
        self.requested.send_modify(|requested| {
            *requested += 1;
            number = *requested;
        });
        self.wait_for_listing(number).await;
    }

    /// Waits until all objects have been listed once. [`Reader::wait_until_ready`] would wake only one of several waiters.
    pub async fn wait_until_synced(&self) {
        self.wait_for_listing(1).await;
    }

    async fn wait_for_listing(&self, number: u64) {
        // An error means that the update future is gone, and with it the process.
        let _ = self
            .completed
            .clone()
            .wait_for(|completed| *completed >= number)
            .await;
    }

    /// All objects once they are listed, then each that changes or is deleted.
    pub fn objects(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        let subscription = Subscription {
            reader: self.reader.clone(),
            events: self.events.subscribe(),
            completed: self.completed.clone(),
            pending: None,
        };
        stream::unfold(subscription, |mut subscription| async move {
            let object = subscription.next().await?;
            Some((object, subscription))
        })
    }
}

struct Subscription<K: Kind> {
    reader: Reader<K>,
    events: broadcast::Receiver<CacheEvent<K>>,
    completed: watch::Receiver<u64>,
    /// Objects that are to be delivered; `None` before the first listing.
    pending: Option<VecDeque<Arc<K>>>,
}

impl<K: Kind> Subscription<K> {
    async fn next(&mut self) -> Option<Arc<K>> {
        loop {
            let Some(pending) = &mut self.pending else {
                self.completed.wait_for(|completed| *completed > 0).await.ok()?;
                self.pending = Some(self.reader.state().into());
                continue;
            };
            if let Some(object) = pending.pop_front() {
                return Some(object);
            }
            match self.events.recv().await {
                Ok(CacheEvent::Applied(object) | CacheEvent::Deleted(object)) => return Some(object),
                Ok(CacheEvent::Listed) | Err(broadcast::error::RecvError::Lagged(_)) => self.pending = None,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// A watch without `managedFields`, which are most of an object's size and unused. The API server keeps them when a write omits
/// them.
fn watch_events<K: Kind>(api: Api<K>) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send {
    watcher(api, watch_config())
        .default_backoff()
        .modify(|object| object.meta_mut().managed_fields = None)
}

/// Lists and watches, and starts over when a new listing is requested.
async fn update<K: Kind>(
    api: Api<K>,
    mut cache: reflector::store::Writer<K>,
    reader: Reader<K>,
    subscribers: broadcast::Sender<CacheEvent<K>>,
    (mut requests, listed): (watch::Receiver<u64>, watch::Sender<u64>),
) {
    loop {
        let number = *requests.borrow_and_update();
        let mut events = std::pin::pin!(watch_events(api.clone()));
        while let Some(event) = next_event(&mut events, &mut requests).await {
            cache.apply_watcher_event(&event);
            let cache_event = cache_event(event, &reader);
            if matches!(cache_event, Some(CacheEvent::Listed)) {
                listed.send_replace(number);
            }
            // An error means that there is no subscriber.
            let _ = cache_event.map(|event| subscribers.send(event));
        }
    }
}

/// The next event; `None` when a new listing is requested.
async fn next_event<K: Kind>(
    events: &mut (impl Stream<Item = Result<Event<K>, watcher::Error>> + Unpin),
    requests: &mut watch::Receiver<u64>,
) -> Option<Event<K>> {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            Ok(()) = requests.changed() => return None,
        };
        match event? {
            Ok(event) => return Some(event),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch failed, retrying");
            }
        }
    }
}

/// The change that an event made; `None` during a listing.
fn cache_event<K: Kind>(event: Event<K>, reader: &Reader<K>) -> Option<CacheEvent<K>> {
    match event {
        // Shares the `Arc` of the cache, unless the object has been deleted since.
        Event::Apply(object) => {
            let cached = reader.get(&ObjectRef::from_obj(&object));
            Some(CacheEvent::Applied(cached.unwrap_or_else(|| Arc::new(object))))
        }
        Event::Delete(object) => Some(CacheEvent::Deleted(Arc::new(object))),
        Event::InitDone => Some(CacheEvent::Listed),
        Event::Init | Event::InitApply(_) => None,
    }
}
