//! The connections of one scope as this process knows them: each with one link, shared by its runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store as Reader};
use kube::{Resource, ResourceExt};
use tokio::sync::broadcast;
use tokio::time::sleep;

use super::Link;
use crate::api::connection::TaranaConnection;
use crate::api::reason::Reason;
use crate::fault::Fault;

/// Changes kept for a listener that is slow; one that misses some is told to look at all.
const BACKLOG: usize = 256;
/// A run that is over sooner than this is not shown as active: that would be a write for what nobody can see.
const SEEN: Duration = Duration::from_secs(5);

/// Names a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Key {
    /// The key of an object.
    pub fn of(connection: &TaranaConnection) -> Self {
        Self {
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
        }
    }

    /// As the watch cache names it.
    pub fn object_ref(&self) -> ObjectRef<TaranaConnection> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

/// Whether a connection may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No such object.
    Missing,
    /// Not tried yet, or the trial failed in a way that may pass.
    Unverified(Fault),
    /// The trial failed in a way that only a person can mend.
    Refused(Fault),
    /// Tried, and works.
    Ready,
}

/// What a run sees of its connection.
#[derive(Clone, Debug)]
pub struct View {
    /// Whether it may be used.
    pub state: State,
    /// `spec.suspend`: nothing new may start.
    pub suspended: bool,
    /// When it was tried last.
    pub checked: Option<Timestamp>,
    /// Session, limits and pool. Present as soon as the tables were found sound, whatever the API said.
    pub link: Option<Arc<Link>>,
}

/// What is kept of one connection.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub uid: String,
    pub generation: Option<i64>,
    pub state: State,
    pub checked: Option<Timestamp>,
    pub link: Option<Arc<Link>>,
    /// Trials in a row that failed in a way that may pass.
    pub failures: u32,
    pub active: Option<Active>,
    /// What the last trial that went well found.
    pub found: String,
}

/// The run that is at it.
#[derive(Clone, Debug)]
pub(super) struct Active {
    run: String,
    since: Instant,
}

impl Active {
    /// Its name, if it is worth telling: it lasts, or is told already.
    pub fn worth_telling(self, told: Option<&str>) -> Option<String> {
        (self.since.elapsed() >= SEEN || told == Some(&self.run)).then_some(self.run)
    }
}

/// All connections of one scope.
#[derive(Debug)]
pub struct Connections {
    reader: Reader<TaranaConnection>,
    entries: Mutex<HashMap<Key, Entry>>,
    /// A connection whose runs should look at it again.
    changed: broadcast::Sender<Key>,
    /// A connection that should be looked at again.
    wanted: broadcast::Sender<Key>,
    /// A connection on which a run has begun.
    begun: broadcast::Sender<Key>,
}

impl Connections {
    /// Over the watch cache of the same scope.
    pub fn new(reader: Reader<TaranaConnection>) -> Self {
        Self {
            reader,
            entries: Mutex::default(),
            changed: broadcast::Sender::new(BACKLOG),
            wanted: broadcast::Sender::new(BACKLOG),
            begun: broadcast::Sender::new(BACKLOG),
        }
    }

    /// What a run sees of the connection of that name.
    pub fn view(&self, key: &Key) -> View {
        let Some(object) = self.reader.get(&key.object_ref()) else {
            self.entries().remove(key);
            return View {
                state: State::Missing,
                suspended: false,
                checked: None,
                link: None,
            };
        };
        let suspended = object.spec.suspend;
        let known = self
            .entries()
            .get(key)
            .filter(|e| Some(&e.uid) == object.metadata.uid.as_ref())
            .cloned();
        match known {
            Some(e) if e.generation == object.metadata.generation => View {
                state: e.state,
                suspended,
                checked: e.checked,
                link: e.link.filter(|l| l.is_sound()),
            },
            _ => View {
                state: State::Unverified(being_verified()),
                suspended,
                checked: None,
                link: None,
            },
        }
    }

    /// Lets go of a connection that is gone: its session, and its place in the database's limits.
    pub(super) fn forget_if_gone(&self, key: &Key) {
        if self.reader.get(&key.object_ref()).is_none() {
            self.entries().remove(key);
        }
    }

    /// A Secret of the connection has this version now: what an older one led to no longer counts.
    pub(super) fn secret_changed(&self, key: &Key, version: &str) {
        if let Some(entry) = self.entries().get_mut(key)
            && !entry
                .link
                .as_ref()
                .is_some_and(|l| l.fingerprint.contains(version))
        {
            entry.state = State::Unverified(being_verified());
            entry.checked = None;
        }
    }

    /// Asks for a new trial.
    pub fn recheck(&self, key: &Key) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.checked = None;
        }
        let _ = self.wanted.send(key.clone());
    }

    /// A run has begun, or goes on, on it.
    pub fn began(&self, key: &Key, run: &str) {
        if let Some(entry) = self.entries().get_mut(key) {
            let known = entry.active.take().filter(|active| active.run == run);
            entry.active = known.or_else(|| {
                let (run, since) = (run.to_owned(), Instant::now());
                Some(Active { run, since })
            });
        }
        let _ = self.begun.send(key.clone());
    }

    /// A run on it has ended, be it the active one or one that waited.
    pub fn ended(&self, key: &Key, run: &str) {
        if let Some(entry) = self.entries().get_mut(key)
            && entry.active.as_ref().is_some_and(|active| active.run == run)
        {
            entry.active = None;
        }
        let _ = self.wanted.send(key.clone());
        let _ = self.changed.send(key.clone());
    }

    /// Connections whose runs should look again: the gate changed, or a run on it ended.
    pub fn changes(&self) -> impl Stream<Item = Key> + Send + 'static {
        listen(&self.changed)
    }

    /// Objects of a cache that such a change concerns.
    pub fn wakes<K>(
        &self,
        reader: Reader<K>,
        concerns: impl Fn(&K, &Key) -> bool + Copy + Send + 'static,
    ) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        self.changes().flat_map(move |changed| {
            let woken = reader.state_filter(|object| concerns(object, &changed));
            stream::iter(
                woken
                    .into_iter()
                    .map(|object| ObjectRef::from_obj(object.as_ref())),
            )
        })
    }

    /// Every link of the scope that works, for work that concerns each database.
    pub fn ready(&self) -> Vec<(Key, Arc<Link>)> {
        self.entries()
            .iter()
            .filter(|(_, e)| e.state == State::Ready)
            .filter_map(|(key, e)| Some((key.clone(), e.link.clone()?)))
            .collect()
    }

    /// Connections that should be looked at: at once, or, where a run has begun, if it is still at it a moment later.
    pub(super) fn wanted(&self) -> impl Stream<Item = Key> + Send + 'static {
        let begun = listen(&self.begun)
            .map(|key| async { (sleep(SEEN).await, key).1 })
            .buffer_unordered(BACKLOG);
        stream::select(listen(&self.wanted), begun)
    }

    pub(super) fn entry(&self, key: &Key) -> Option<Entry> {
        self.entries().get(key).cloned()
    }

    pub(super) fn put(&self, key: &Key, entry: &Entry) {
        let before = self.entries().insert(key.clone(), entry.clone());
        let same = before.is_some_and(|b| {
            b.state == entry.state && b.generation == entry.generation && b.checked.is_some()
        });
        if !same {
            let _ = self.changed.send(key.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a sound map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(sender: &broadcast::Sender<Key>) -> impl Stream<Item = Key> + Send + 'static {
    stream::unfold(sender.subscribe(), |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(key) => return Some((key, receiver)),
                // What was missed is found when the object is looked at by its own clock.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}

/// The state before the first trial.
pub(super) fn being_verified() -> Fault {
    Fault::new(Reason::ConnectionNotReady, "the connection is being verified")
}

/// The pause before the next trial after so many that failed in a row.
pub(super) fn pause(failures: u32, fault: &Fault) -> Duration {
    let doubled = Duration::from_secs(2_u64 << failures.min(5));
    doubled
        .min(Duration::from_mins(1))
        .max(fault.retry_after.unwrap_or_default())
}
