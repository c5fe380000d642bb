//! One watch and one cache per kind, shared by the controllers of the leader and by the readers on every replica.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, ready};
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use kube::Api;
use kube::runtime::reflector::{self, ObjectRef, Store as Reader};
use tokio::sync::{broadcast, watch};

use super::clients::Cluster;
use super::decoded::InvalidObjects;
use super::index::{Index, IndexKeys};
use super::kind::Kind;
use super::watch_health::WatchHealth;
use super::watch_selector::WatchSelector;
use super::watch_update::{CacheEvent, WatchUpdate};

/// Events that are kept for a slow subscriber. One that lags behind reads all objects again.
const BACKLOG: usize = 4096;

/// The watch cache of a kind in one scope. Cheap to clone: clones share the cache.
#[derive(Clone, Debug)]
pub struct WatchCache<K: Kind> {
    reader: Reader<K>,
    index: Arc<Index<K>>,
    invalid: watch::Receiver<InvalidObjects<K>>,
    events: broadcast::Sender<CacheEvent<K>>,
    /// Number of listings that were requested.
    requested: watch::Sender<u64>,
    /// Number of the newest complete listing; 0 before the first.
    completed: watch::Receiver<u64>,
    /// Why the watch fails, for users.
    problem: watch::Receiver<Option<String>>,
    /// Which objects are watched.
    selector: Arc<WatchSelector>,
}

/// What a cache keeps of the objects of a kind, and how it finds them.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig<K> {
    /// The keys of an object in the index.
    pub index: IndexKeys<K>,
    /// Removes what nobody reads.
    pub trim: fn(&mut K),
}

impl<K: Kind> WatchCache<K> {
    /// A cache of the selected objects of a namespace or of all. It is updated while the future runs, which never ends.
    pub fn new(
        cluster: &Cluster,
        namespace: Option<&str>,
        selector: &Arc<WatchSelector>,
        config: &CacheConfig<K>,
    ) -> (Self, impl Future<Output = ()> + use<K>) {
        let api = namespace.map_or_else(
            || Api::all(cluster.watches.clone()),
            |ns| Api::namespaced(cluster.watches.clone(), ns),
        );
        let (reader, writer) = reflector::store();
        let (events, _) = broadcast::channel(BACKLOG);
        let (requested, requests) = watch::channel(1);
        let (listed, completed) = watch::channel(0);
        let (invalid_writer, invalid) = watch::channel(HashMap::new());
        let (problem_writer, problem) = watch::channel(None);
        let resource = match K::group(&()) {
            group if group.is_empty() => K::plural(&()).into_owned(),
            group => format!("{}.{group}", K::plural(&())),
        };
        let index = Arc::new(Index::new(config.index));
        let update = WatchUpdate {
            reader: reader.clone(),
            writer,
            trim: config.trim,
            index: Arc::clone(&index),
            invalid: invalid_writer,
            listed_invalid: HashMap::new(),
            relisted: None,
            events: events.clone(),
            listed,
            health: WatchHealth::new(resource, namespace, cluster.metrics.clone(), problem_writer),
        };
        let cache = Self {
            reader,
            index,
            invalid,
            events,
            requested,
            completed,
            problem,
            selector: Arc::clone(selector),
        };
        (cache, update.run(api, selector.label_selector(), requests))
    }

    /// The reflector store.
    pub fn reader(&self) -> Reader<K> {
        self.reader.clone()
    }

    /// The objects under a key of the index, by name.
    pub fn find(&self, key: &str) -> Vec<Arc<K>> {
        self.index.find(key)
    }

    /// The objects that cannot be decoded.
    pub fn invalid(&self) -> watch::Receiver<InvalidObjects<K>> {
        self.invalid.clone()
    }

    /// Whether all objects have been listed once.
    pub fn is_synced(&self) -> bool {
        *self.completed.borrow() > 0
    }

    /// Which objects are watched. An object that the cache does not have may exist if this does not select all.
    pub fn selector(&self) -> &WatchSelector {
        &self.selector
    }

    /// Why the watch fails, for users.
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
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

    /// The events of the cache from now on. Where a slow subscriber missed some, it gets `Listed`.
    pub fn events(&self) -> impl Stream<Item = CacheEvent<K>> + Send + use<K> {
        stream::unfold(self.events.subscribe(), |mut events| async move {
            match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((CacheEvent::Listed, events)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
    }

    /// Each object that changes or is deleted from now on, without those that a slow subscriber misses.
    pub fn changes(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        self.events().filter_map(|event| {
            ready(match event {
                CacheEvent::Applied(object) | CacheEvent::Deleted(object) => Some(object),
                CacheEvent::Listed => None,
            })
        })
    }

    /// Like [`Self::objects`], without changes that leave this aspect of the object as it was.
    pub fn objects_by<T, F>(&self, aspect: F) -> impl Stream<Item = Arc<K>> + Send + use<K, T, F>
    where
        T: PartialEq + Send + 'static,
        F: Fn(&K) -> T + Send + 'static,
    {
        let (reader, mut known) = (self.reader.clone(), HashMap::<Box<str>, T>::new());
        self.objects().filter(move |object| {
            let uid = object.meta().uid.as_deref().unwrap_or_default();
            if reader.get(&ObjectRef::from_obj(object.as_ref())).is_none() {
                known.remove(uid);
                return ready(true);
            }
            let aspect = aspect(object);
            let is_changed = known.get(uid) != Some(&aspect);
            if is_changed {
                known.insert(uid.into(), aspect);
            }
            ready(is_changed)
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
