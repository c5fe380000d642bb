//! What this process knows of the connections of one scope and the watch caches do not: state and clients of each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::runtime::reflector::Store as Reader;
use uuid::Uuid;

use super::clients::ConnectionClients;
use super::key::Key;
use super::overlap::{Overlap, Source};
use super::sink_report::SinkReport;
use super::state::{ConnectionState, being_verified};
use super::warnings::OpenRows;
use crate::api::connection::TaranaConnection;
use crate::fault::Fault;
use crate::store::Store;
use crate::tarana::Verified;

/// What a run observes of its connection.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// Whether it may be used.
    pub state: ConnectionState,
    /// `spec.suspend`: no new run may start.
    pub suspended: bool,
    /// When the last probe started.
    pub checked: Option<Instant>,
    /// Its clients. Present as soon as the schema is verified, whatever the state of the API.
    pub clients: Option<Arc<ConnectionClients>>,
}

/// What is known of one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionEntry {
    pub uid: String,
    pub generation: Option<i64>,
    pub state: ConnectionState,
    /// When the last probe started; `None` if a new one is due.
    pub checked: Option<Instant>,
    pub clients: Option<Arc<ConnectionClients>>,
    /// Number of consecutive failed probes; 0 after a permanent fault of a Secret or of the configuration.
    pub failures: u32,
    /// Summary of the last successful probe.
    pub summary: String,
    /// What it reads according to the last successful probe of this spec.
    pub verified: Option<Arc<Verified>>,
}

impl ConnectionEntry {
    /// Whether it describes this version of the object.
    pub fn describes(&self, connection: &TaranaConnection) -> bool {
        Some(&self.uid) == connection.metadata.uid.as_ref()
            && self.generation == connection.metadata.generation
    }
}

/// All connections of one scope.
#[derive(Debug)]
pub struct Connections {
    reader: Reader<TaranaConnection>,
    state: Mutex<State>,
    probe_requests: UnboundedSender<Key>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, ConnectionEntry>,
    /// The newest change of each Secret of a connection. A probe that started earlier may have read the former content.
    secret_changes: HashMap<Key, HashMap<String, SecretChange>>,
    /// What is known of the event sinks.
    sinks: HashMap<Key, SinkReport>,
    /// Log rows that cannot be closed.
    open_rows: HashMap<Key, OpenRows>,
    /// Connections whose last success is to be read again, because a run has completed.
    success_due: HashSet<Key>,
}

/// A change of a Secret.
#[derive(Debug)]
struct SecretChange {
    seen: Instant,
    /// The version; `None` if it was deleted.
    version: Option<String>,
}

impl SecretChange {
    /// Whether the entry was built from this version.
    fn is_in(&self, entry: &ConnectionEntry) -> bool {
        let used = entry.clients.as_ref().map(|clients| &clients.fingerprint);
        used.zip(self.version.as_ref())
            .is_some_and(|(used, version)| used.contains(version))
    }
}

impl State {
    fn retain(&mut self, is_kept: impl Fn(&Key) -> bool) {
        self.entries.retain(|key, _| is_kept(key));
        self.secret_changes.retain(|key, _| is_kept(key));
        self.success_due.retain(|key| is_kept(key));
        self.sinks.retain(|key, _| is_kept(key));
        self.open_rows.retain(|key, _| is_kept(key));
    }
}

impl Connections {
    /// An empty registry over the watch cache of the scope, and the connections that should be probed again.
    pub fn new(reader: Reader<TaranaConnection>) -> (Self, UnboundedReceiver<Key>) {
        let (probe_requests, requested) = unbounded();
        let registry = Self {
            reader,
            state: Mutex::default(),
            probe_requests,
        };
        (registry, requested)
    }

    /// Whether the object exists.
    pub fn exists(&self, key: &Key) -> bool {
        self.reader.get(&key.object_ref()).is_some()
    }

    /// What a run observes of this connection.
    pub fn view(&self, key: &Key) -> ConnectionView {
        let Some(object) = self.reader.get(&key.object_ref()) else {
            return ConnectionView {
                state: ConnectionState::Missing,
                suspended: false,
                checked: None,
                clients: None,
            };
        };
        let suspended = object.spec.suspend;
        match self.entry(key).filter(|entry| entry.describes(&object)) {
            Some(e) => ConnectionView {
                state: e.state,
                suspended,
                checked: e.checked,
                clients: e.clients.filter(|c| c.is_schema_verified()),
            },
            None => ConnectionView {
                state: ConnectionState::Unverified(being_verified()),
                suspended,
                checked: None,
                clients: None,
            },
        }
    }

    /// Requests a new probe, unless one is due already.
    pub fn request_probe(&self, key: &Key) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key)
            && entry.checked.take().is_some()
        {
            // Fails only if the controller has ended.
            let _ = self.probe_requests.unbounded_send(key.clone());
        }
    }

    /// The clients of all ready connections.
    pub fn ready_clients(&self) -> Vec<(Key, Arc<ConnectionClients>)> {
        let mut state = self.lock();
        // A deletion that happened while the watch was interrupted is not reported.
        state.retain(|key| self.exists(key));
        let ready = state
            .entries
            .iter()
            .filter(|(_, e)| e.state == ConnectionState::Ready);
        ready
            .filter_map(|(key, e)| Some((key.clone(), e.clients.clone()?)))
            .collect()
    }

    /// The clients of all connections that have some, whatever their state.
    pub fn all_clients(&self) -> Vec<(Key, Arc<ConnectionClients>)> {
        let state = self.lock();
        let entries = state.entries.iter();
        entries
            .filter_map(|(key, entry)| Some((key.clone(), entry.clients.clone()?)))
            .collect()
    }

    /// The clients of a connection whose schema is verified, whatever the state of the vendor's API.
    pub fn verified_clients(&self, connection: &TaranaConnection) -> Option<Arc<ConnectionClients>> {
        let entry = self.entry(&Key::of(connection))?;
        let is_current = Some(&entry.uid) == connection.metadata.uid.as_ref();
        entry
            .clients
            .filter(|clients| is_current && clients.is_schema_verified())
    }

    /// Records what is known of the event sink of a connection, and publishes it if it is new.
    pub fn report_sink(&self, key: &Key, report: SinkReport) {
        let mut state = self.lock();
        if state.sinks.get(key) != Some(&report) {
            state.sinks.insert(key.clone(), report);
            // Triggers a reconcile. Fails only if the controller has ended.
            let _ = self.probe_requests.unbounded_send(key.clone());
        }
    }

    /// Forgets the sinks of other connections than these.
    pub fn retain_sinks(&self, has_sink: impl Fn(&Key) -> bool) {
        self.lock().sinks.retain(|key, _| has_sink(key));
    }

    /// What was last reported of a sink.
    pub fn sink_report(&self, key: &Key) -> Option<SinkReport> {
        self.lock().sinks.get(key).cloned()
    }

    /// Records that the log row of a run that has ended cannot be closed, and publishes it if it is new.
    pub fn report_open_row(&self, key: &Key, run: Uuid, name: &str, fault: &Fault) {
        let mut state = self.lock();
        let rows = state.open_rows.entry(key.clone()).or_default();
        let former = rows.insert(run, (name.to_owned(), fault.clone()));
        if former.is_none_or(|(_, former)| former != *fault) {
            // Triggers a reconcile. Fails only if the controller has ended.
            let _ = self.probe_requests.unbounded_send(key.clone());
        }
    }

    /// Records that the log row of a run is closed, or gone.
    pub fn row_closed(&self, key: &Key, run: Uuid) {
        let mut state = self.lock();
        if let Some(rows) = state.open_rows.get_mut(key)
            && rows.remove(&run).is_some()
        {
            let _ = self.probe_requests.unbounded_send(key.clone());
        }
    }

    /// The log rows that cannot be closed.
    pub fn open_rows(&self, key: &Key) -> OpenRows {
        self.lock().open_rows.get(key).cloned().unwrap_or_default()
    }

    /// Drops the clients of a connection whose object is gone. Returns what was known of it.
    pub(super) fn remove_if_deleted(&self, key: &Key) -> Option<ConnectionEntry> {
        if self.exists(key) {
            return None;
        }
        let mut state = self.lock();
        let removed = state.entries.remove(key);
        state.retain(|other| other != key);
        removed
    }

    /// The other connections that write the same table, unless they are suspended, and share regions with this source.
    pub(super) fn overlaps(&self, key: &Key, store: &Store, source: Source<'_>) -> Vec<Overlap> {
        let state = self.lock();
        let others = state.entries.iter().filter(|(other, _)| *other != key);
        let overlap = |(other, entry): (&Key, &ConnectionEntry)| {
            let clients = entry
                .clients
                .as_ref()
                .filter(|c| c.store.is_same_database(store))?;
            let object = self.reader.get(&other.object_ref())?;
            let theirs = Source {
                url: &clients.spec.api.url,
                verified: entry.verified.as_ref()?,
            };
            let writes = entry.describes(&object) && !object.spec.suspend;
            let regions = source.regions_shared_with(theirs);
            (writes && !regions.is_empty()).then(|| Overlap {
                other: other.clone(),
                regions,
            })
        };
        others.filter_map(overlap).collect()
    }

    /// Reconciles the other connections that write the same table.
    pub(super) fn reconcile_others(&self, key: &Key, store: &Store) {
        for (other, entry) in &self.lock().entries {
            let clients = entry.clients.as_ref();
            if other != key && clients.is_some_and(|clients| clients.store.is_same_database(store)) {
                // Fails only if the controller has ended.
                let _ = self.probe_requests.unbounded_send(other.clone());
            }
        }
    }

    /// Whether each connection was probed since its controller started.
    pub(super) fn knows_all(&self) -> bool {
        let state = self.lock();
        let is_known = |object: &Arc<TaranaConnection>| {
            let entry = state.entries.get(&Key::of(object));
            entry.is_some_and(|entry| entry.checked.is_some())
        };
        self.reader.state().iter().all(is_known)
    }

    /// Records a change of a Secret; `version` is `None` if it was deleted. The state of a connection that was probed with
    /// another version is invalid.
    pub(super) fn secret_changed(&self, key: &Key, secret: String, version: Option<String>) {
        let change = SecretChange {
            seen: Instant::now(),
            version,
        };
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(key)
            && !change.is_in(entry)
        {
            invalidate(entry);
        }
        let changes = state.secret_changes.entry(key.clone()).or_default();
        changes.insert(secret, change);
    }

    /// Records that a run of the connection has completed.
    pub(super) fn run_completed(&self, key: Key) {
        self.lock().success_due.insert(key);
    }

    /// Whether a run has completed since the last call.
    pub(super) fn take_success_due(&self, key: &Key) -> bool {
        self.lock().success_due.remove(key)
    }

    pub(super) fn entry(&self, key: &Key) -> Option<ConnectionEntry> {
        self.lock().entries.get(key).cloned()
    }

    /// Records the result of a probe, unless the object was replaced while it was probed.
    pub(super) fn insert(&self, key: &Key, mut entry: ConnectionEntry) {
        // Under the lock, so that a deletion is either seen here or removes the entry.
        let mut state = self.lock();
        let object = self.reader.get(&key.object_ref());
        if object.and_then(|object| object.metadata.uid.clone()).as_ref() != Some(&entry.uid) {
            return;
        }
        // The event of such a change requeues the connection, so that it is probed again.
        let is_outdated = |change: &SecretChange| {
            entry.checked.is_some_and(|started| started < change.seen) && !change.is_in(&entry)
        };
        let changes = state.secret_changes.get(key);
        if changes.is_some_and(|changes| changes.values().any(is_outdated)) {
            invalidate(&mut entry);
        }
        state.entries.insert(key.clone(), entry);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it changes the state, so a poisoned lock still guards a consistent state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blocks the gate until the next probe.
fn invalidate(entry: &mut ConnectionEntry) {
    entry.state = ConnectionState::Unverified(being_verified());
    entry.checked = None;
}

/// The backoff after this number of consecutive failed probes.
pub(super) fn backoff(failures: u32, fault: &Fault) -> Duration {
    let doubled = Duration::from_secs(2_u64 << failures.min(5));
    doubled
        .min(Duration::from_mins(1))
        .max(fault.retry_after.unwrap_or_default())
}
