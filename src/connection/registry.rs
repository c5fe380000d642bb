//! What this process knows of the connections of one scope: state, clients and active run of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store as Reader};
use tokio::sync::broadcast;
use tokio::time::sleep;

use super::clients::ConnectionClients;
use super::key::Key;
use super::state::{ConnectionState, being_verified};
use crate::api::connection::TaranaConnection;
use crate::fault::Fault;

/// Capacity of the channels.
const BACKLOG: usize = 256;
/// A shorter run is not shown as `activeSync`, to save a write to the API server.
const ACTIVE_DELAY: Duration = Duration::from_secs(5);

/// What a run observes of its connection.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// Whether it may be used.
    pub state: ConnectionState,
    /// `spec.suspend`: no new run may start.
    pub suspended: bool,
    /// Time of the last probe.
    pub checked: Option<Timestamp>,
    /// Its clients. Present as soon as the schema is verified, whatever the state of the API.
    pub clients: Option<Arc<ConnectionClients>>,
}

/// What is known of one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionEntry {
    pub uid: String,
    pub generation: Option<i64>,
    pub state: ConnectionState,
    pub checked: Option<Timestamp>,
    pub clients: Option<Arc<ConnectionClients>>,
    /// Number of consecutive failed probes; 0 after a permanent fault of a Secret or of the configuration.
    pub failures: u32,
    pub active: Option<ActiveRun>,
    /// Summary of the last successful probe.
    pub summary: String,
}

/// The active run of a connection.
#[derive(Clone, Debug)]
pub(super) struct ActiveRun {
    run: String,
    since: Instant,
}

impl ActiveRun {
    /// Its name, if it has lasted long enough to be shown or is shown already.
    pub fn name_to_show(self, shown: Option<&str>) -> Option<String> {
        (self.since.elapsed() >= ACTIVE_DELAY || shown == Some(&self.run)).then_some(self.run)
    }
}

/// All connections of one scope.
#[derive(Debug)]
pub struct Connections {
    reader: Reader<TaranaConnection>,
    entries: Mutex<HashMap<Key, ConnectionEntry>>,
    /// Connections whose gate has changed: their runs reconcile.
    gate_changed: broadcast::Sender<Key>,
    /// Connections that should reconcile.
    reconcile_requested: broadcast::Sender<Key>,
    /// Connections on which a run has started.
    run_started: broadcast::Sender<Key>,
}

impl Connections {
    /// An empty registry over the watch cache of the scope.
    pub fn new(reader: Reader<TaranaConnection>) -> Self {
        Self {
            reader,
            entries: Mutex::default(),
            gate_changed: broadcast::Sender::new(BACKLOG),
            reconcile_requested: broadcast::Sender::new(BACKLOG),
            run_started: broadcast::Sender::new(BACKLOG),
        }
    }

    /// What a run observes of this connection.
    pub fn view(&self, key: &Key) -> ConnectionView {
        let Some(object) = self.reader.get(&key.object_ref()) else {
            self.entries().remove(key);
            return ConnectionView {
                state: ConnectionState::Missing,
                suspended: false,
                checked: None,
                clients: None,
            };
        };
        let suspended = object.spec.suspend;
        let entry = self
            .entries()
            .get(key)
            .filter(|e| Some(&e.uid) == object.metadata.uid.as_ref())
            .cloned();
        match entry {
            Some(e) if e.generation == object.metadata.generation => ConnectionView {
                state: e.state,
                suspended,
                checked: e.checked,
                clients: e.clients.filter(|c| c.is_schema_verified()),
            },
            _ => ConnectionView {
                state: ConnectionState::Unverified(being_verified()),
                suspended,
                checked: None,
                clients: None,
            },
        }
    }

    /// Drops the clients of a connection whose object is gone.
    pub(super) fn remove_if_deleted(&self, key: &Key) {
        if self.reader.get(&key.object_ref()).is_none() {
            self.entries().remove(key);
        }
    }

    /// Invalidates the state of a connection that was probed with another version of this Secret.
    pub(super) fn invalidate_if_secret_changed(&self, key: &Key, version: &str) {
        if let Some(entry) = self.entries().get_mut(key)
            && !entry
                .clients
                .as_ref()
                .is_some_and(|c| c.fingerprint.contains(version))
        {
            entry.state = ConnectionState::Unverified(being_verified());
            entry.checked = None;
        }
    }

    /// Requests a new probe.
    pub fn request_probe(&self, key: &Key) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.checked = None;
        }
        let _ = self.reconcile_requested.send(key.clone());
    }

    /// Records that a run has started or was taken over.
    pub fn run_started(&self, key: &Key, run: &str) {
        if let Some(entry) = self.entries().get_mut(key) {
            let same = entry.active.take().filter(|active| active.run == run);
            entry.active = same.or_else(|| {
                let (run, since) = (run.to_owned(), Instant::now());
                Some(ActiveRun { run, since })
            });
        }
        let _ = self.run_started.send(key.clone());
    }

    /// Records that a run has ended, whether it was active or waiting.
    pub fn run_ended(&self, key: &Key, run: &str) {
        if let Some(entry) = self.entries().get_mut(key)
            && entry.active.as_ref().is_some_and(|active| active.run == run)
        {
            entry.active = None;
        }
        let _ = self.reconcile_requested.send(key.clone());
        let _ = self.gate_changed.send(key.clone());
    }

    /// Connections whose runs should reconcile: the gate has changed, or a run has ended.
    pub fn gate_changes(&self) -> impl Stream<Item = Key> + Send + 'static {
        listen(&self.gate_changed)
    }

    /// Objects of a cache that such a change affects.
    pub fn objects_to_requeue<K>(
        &self,
        reader: Reader<K>,
        is_affected: impl Fn(&K, &Key) -> bool + Copy + Send + 'static,
    ) -> impl Stream<Item = ObjectRef<K>> + Send + 'static
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        self.gate_changes().flat_map(move |changed| {
            let affected = reader.state_filter(|object| is_affected(object, &changed));
            stream::iter(
                affected
                    .into_iter()
                    .map(|object| ObjectRef::from_obj(object.as_ref())),
            )
        })
    }

    /// The clients of all ready connections.
    pub fn ready_clients(&self) -> Vec<(Key, Arc<ConnectionClients>)> {
        self.entries()
            .iter()
            .filter(|(_, e)| e.state == ConnectionState::Ready)
            .filter_map(|(key, e)| Some((key.clone(), e.clients.clone()?)))
            .collect()
    }

    /// Connections that should reconcile: at once, or some seconds after a run has started, to show it as active.
    pub(super) fn reconcile_requests(&self) -> impl Stream<Item = Key> + Send + 'static {
        let started = listen(&self.run_started)
            .map(|key| async { (sleep(ACTIVE_DELAY).await, key).1 })
            .buffer_unordered(BACKLOG);
        stream::select(listen(&self.reconcile_requested), started)
    }

    pub(super) fn entry(&self, key: &Key) -> Option<ConnectionEntry> {
        self.entries().get(key).cloned()
    }

    pub(super) fn insert(&self, key: &Key, entry: &ConnectionEntry) {
        let before = self.entries().insert(key.clone(), entry.clone());
        let same = before.is_some_and(|b| {
            b.state == entry.state && b.generation == entry.generation && b.checked.is_some()
        });
        if !same {
            let _ = self.gate_changed.send(key.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, ConnectionEntry>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(sender: &broadcast::Sender<Key>) -> impl Stream<Item = Key> + Send + 'static {
    stream::unfold(sender.subscribe(), |mut receiver| async move {
        loop {
            match receiver.recv().await {
                Ok(key) => return Some((key, receiver)),
                // A missed change is found by the periodic reconcile.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
    .boxed()
}

/// The backoff after this number of consecutive failed probes.
pub(super) fn backoff(failures: u32, fault: &Fault) -> Duration {
    let doubled = Duration::from_secs(2_u64 << failures.min(5));
    doubled
        .min(Duration::from_mins(1))
        .max(fault.retry_after.unwrap_or_default())
}
