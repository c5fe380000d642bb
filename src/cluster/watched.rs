//! One watch of a kind, and its cache, for all of the process that want to know: the controllers of the leader and whoever
//! reads on every replica.

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

use super::{Cluster, watching};

/// Changes kept for a listener that is slow; one that misses some goes through all objects again.
const BACKLOG: usize = 256;

/// What an object must be to be watched here.
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

/// What became of the cache.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// It is new, or other than before.
    Applied(Arc<K>),
    /// It is gone; this is the last of it.
    Deleted(Arc<K>),
    /// Everything was listed anew: look at all of it.
    Listed,
}

/// The objects of a kind in one scope.
#[derive(Debug)]
pub struct Watched<K: Kind> {
    reader: Reader<K>,
    changes: broadcast::Sender<Change<K>>,
    /// How many listings were asked for.
    asked: watch::Sender<u64>,
    /// The newest of them that is done; 0 before the first.
    done: watch::Receiver<u64>,
}

impl<K: Kind> Watched<K> {
    /// Of a namespace, or of all. Knows something only while the future runs, which never ends by itself.
    pub fn new(cluster: &Cluster, namespace: Option<&str>) -> (Self, impl Future<Output = ()> + use<K>) {
        let api = namespace.map_or_else(
            || Api::all(cluster.watches.clone()),
            |ns| Api::namespaced(cluster.watches.clone(), ns),
        );
        let (reader, writer) = reflector::store();
        let (changes, _) = broadcast::channel(BACKLOG);
        let (asked, wanted) = watch::channel(1);
        let (listed, done) = watch::channel(0);
        let keep = keep(api, writer, reader.clone(), changes.clone(), (wanted, listed));
        let watched = Self {
            reader,
            changes,
            asked,
            done,
        };
        (watched, keep)
    }

    /// The cache.
    pub fn reader(&self) -> Reader<K> {
        self.reader.clone()
    }

    /// Whether the cache has heard of every object.
    pub fn is_listed(&self) -> bool {
        *self.done.borrow() > 0
    }

    /// What becomes of the cache from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change<K>> {
        self.changes.subscribe()
    }

    /// Lists everything anew and waits until that is done. A cache may be behind by as long as a wire may be silent, which
    /// for one who only reads is fine, and for one who begins to act is not.
    pub async fn refresh(&self) {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        self.listed(number).await;
    }

    /// Waits until the cache has heard of every object. Not [`Reader::wait_until_ready`], which of several who wait wakes one.
    pub async fn known(&self) {
        self.listed(1).await;
    }

    async fn listed(&self, number: u64) {
        // An error means that the cache is gone, and with it whoever asks.
        let _ = self.done.clone().wait_for(|done| *done >= number).await;
    }

    /// All objects once they are listed, and then each that changes or goes.
    pub fn objects(&self) -> impl Stream<Item = Arc<K>> + Send + use<K> {
        let listener = Listener {
            reader: self.reader.clone(),
            changes: self.changes.subscribe(),
            done: self.done.clone(),
            pending: None,
        };
        stream::unfold(listener, |mut listener| async move {
            let object = listener.next().await?;
            Some((object, listener))
        })
    }
}

struct Listener<K: Kind> {
    reader: Reader<K>,
    changes: broadcast::Receiver<Change<K>>,
    done: watch::Receiver<u64>,
    /// Not told of yet; `None` before the first listing.
    pending: Option<VecDeque<Arc<K>>>,
}

impl<K: Kind> Listener<K> {
    async fn next(&mut self) -> Option<Arc<K>> {
        loop {
            let Some(pending) = &mut self.pending else {
                self.done.wait_for(|done| *done > 0).await.ok()?;
                self.pending = Some(self.reader.state().into());
                continue;
            };
            if let Some(object) = pending.pop_front() {
                return Some(object);
            }
            match self.changes.recv().await {
                Ok(Change::Applied(object) | Change::Deleted(object)) => return Some(object),
                Ok(Change::Listed) | Err(broadcast::error::RecvError::Lagged(_)) => self.pending = None,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Who manages which field is most of an object's size, and nobody here asks; the API server keeps what a write leaves out.
fn events<K: Kind>(api: Api<K>) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send {
    watcher(api, watching())
        .default_backoff()
        .modify(|object| object.meta_mut().managed_fields = None)
}

/// Lists and watches, and begins anew when a listing is asked for.
async fn keep<K: Kind>(
    api: Api<K>,
    mut cache: reflector::store::Writer<K>,
    reader: Reader<K>,
    changes: broadcast::Sender<Change<K>>,
    (mut wanted, listed): (watch::Receiver<u64>, watch::Sender<u64>),
) {
    loop {
        let number = *wanted.borrow_and_update();
        let mut events = std::pin::pin!(events(api.clone()));
        while let Some(event) = next(&mut events, &mut wanted).await {
            cache.apply_watcher_event(&event);
            let change = change(event, &reader);
            if matches!(change, Some(Change::Listed)) {
                listed.send_replace(number);
            }
            // An error means that nobody listens.
            let _ = change.map(|change| changes.send(change));
        }
    }
}

/// The next event; `None` when a new listing is asked for.
async fn next<K: Kind>(
    events: &mut (impl Stream<Item = Result<Event<K>, watcher::Error>> + Unpin),
    wanted: &mut watch::Receiver<u64>,
) -> Option<Event<K>> {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            Ok(()) = wanted.changed() => return None,
        };
        match event? {
            Ok(event) => return Some(event),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch was broken off, trying again");
            }
        }
    }
}

/// What an event made of the cache; `None` while a listing is under way.
fn change<K: Kind>(event: Event<K>, reader: &Reader<K>) -> Option<Change<K>> {
    match event {
        // The cache has it already, in an `Arc` of its own, unless somebody deleted it since.
        Event::Apply(object) => {
            let cached = reader.get(&ObjectRef::from_obj(&object));
            Some(Change::Applied(cached.unwrap_or_else(|| Arc::new(object))))
        }
        Event::Delete(object) => Some(Change::Deleted(Arc::new(object))),
        Event::InitDone => Some(Change::Listed),
        Event::Init | Event::InitApply(_) => None,
    }
}
