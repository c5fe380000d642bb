//! What every reconcile of a run needs, and the state that this process keeps for active runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store as Reader;
use kube::{Client, ResourceExt};

use super::machine::{AttemptState, Termination};
use super::plan::Missed;
use crate::api::sync::TaranaSync;
use crate::cluster::version;
use crate::connection::{Connections, Key};
use crate::notify::Notifier;
use crate::station::Fetched;

/// What every reconcile needs.
pub struct SyncContext {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// The connections of the same scope.
    pub connections: Arc<Connections>,
    /// The watch cache of the scope.
    pub reader: Reader<TaranaSync>,
    /// Publishes Events.
    pub notifier: Notifier,
    runs: Mutex<HashMap<String, RunState>>,
}

/// What this process keeps for one run. All of it may be lost without harm.
#[derive(Debug, Default)]
pub(super) struct RunState {
    /// The fence that the log row gave to this process.
    pub fence: Option<i64>,
    /// The complete listing.
    pub fetched: Option<Fetched>,
    /// The rows of the table that the previous listing did not contain.
    pub missed: Option<Missed>,
    /// How the run ends once its log row can be closed. The step that led here is not repeated.
    pub pending_end: Option<Termination>,
    /// The log row exists.
    pub registered: bool,
    /// Another run found this run's log row running, whatever its object says: it skips the queue.
    pub skips_queue: bool,
    /// Another process took the run over: do nothing until then.
    pub fenced_until: Option<Timestamp>,
    /// The newest `resourceVersion` that this process wrote or read. An older cache entry is stale.
    newest_version: Option<u64>,
    /// This process wrote that the run has ended, whatever an older cache entry says.
    ended: bool,
}

impl SyncContext {
    /// A context without any run.
    pub fn new(
        client: Client,
        connections: Arc<Connections>,
        reader: Reader<TaranaSync>,
        notifier: Notifier,
    ) -> Self {
        Self {
            client,
            connections,
            reader,
            notifier,
            runs: Mutex::default(),
        }
    }

    /// Changes the state of a run.
    pub(super) fn with_state<T>(&self, uid: &str, change: impl FnOnce(&mut RunState) -> T) -> T {
        change(self.runs().entry(uid.to_owned()).or_default())
    }

    /// Reads the state of a run without creating an entry, since most runs are finished and have none.
    pub(super) fn read_state<T>(&self, uid: &str, read: impl FnOnce(&RunState) -> T) -> T {
        read(self.runs().get(uid).unwrap_or(&RunState::default()))
    }

    /// Drops the state of the current attempt.
    pub(super) fn reset_attempt(&self, uid: &str) {
        self.with_state(uid, |state| {
            (state.fence, state.fetched, state.missed, state.pending_end) = (None, None, None, None);
        });
    }

    /// How far this process has come with the attempt.
    pub(super) fn attempt_state(&self, uid: &str) -> AttemptState {
        self.read_state(uid, |state| match (state.fence, &state.fetched) {
            (None, _) => AttemptState::NotOwned,
            (Some(_), None) => AttemptState::Opened,
            (Some(_), Some(_)) => AttemptState::Fetched,
        })
    }

    /// Records the version of an object that this process wrote.
    pub(super) fn record_version(&self, sync: &TaranaSync) {
        let (uid, version) = (sync.uid().unwrap_or_default(), version(sync));
        let ended = is_final(sync);
        self.with_state(&uid, |state| {
            state.newest_version = version.max(state.newest_version);
            state.ended |= ended;
        });
    }

    /// Records the version of an object that this process read from the API server.
    pub(super) fn observe_version(&self, sync: &TaranaSync) {
        let (uid, version) = (sync.uid().unwrap_or_default(), version(sync));
        self.with_state(&uid, |state| {
            state.newest_version = version.max(state.newest_version);
        });
    }

    /// Whether the cached object is older than what this process wrote or read.
    pub(super) fn cache_is_stale(&self, sync: &TaranaSync) -> bool {
        let newest = self.read_state(&sync.uid().unwrap_or_default(), |state| state.newest_version);
        matches!((version(sync), newest), (Some(cached), Some(newest)) if cached < newest)
    }

    /// The run that precedes this one on its connection: the one that has started, else the oldest that waits.
    pub(super) fn queue_head(&self, sync: &TaranaSync) -> Option<Arc<TaranaSync>> {
        let connection = connection_key(sync);
        let precedes = |other: &TaranaSync| {
            !is_final(other)
                && other.metadata.uid != sync.metadata.uid
                && connection_key(other) == connection
                && (has_started(other) || queue_position(other) < queue_position(sync))
        };
        let mut others = self.reader.state_filter(precedes);
        others.retain(|o| !self.read_state(&o.uid().unwrap_or_default(), |state| state.ended));
        others
            .into_iter()
            .min_by_key(|o| (!has_started(o), queue_position(o)))
    }

    /// Drops the state of runs whose objects are gone.
    pub(super) fn prune(&self) {
        let live: HashSet<String> = self.reader.state().iter().filter_map(|s| s.uid()).collect();
        self.runs().retain(|uid, _| live.contains(uid));
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, RunState>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent map.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection of a run.
pub(super) fn connection_key(sync: &TaranaSync) -> Key {
    Key {
        namespace: sync.namespace().unwrap_or_default(),
        name: sync.spec.connection_ref.name.clone(),
    }
}

/// Whether the run has ended, according to its object.
pub(super) fn is_final(sync: &TaranaSync) -> bool {
    sync.status.as_ref().is_some_and(|s| s.phase.is_final())
}

fn has_started(sync: &TaranaSync) -> bool {
    sync.status.as_ref().is_some_and(|s| s.start_time.is_some())
}

/// Queue order: creation time, then uid, so that all processes agree.
fn queue_position(sync: &TaranaSync) -> (Option<Timestamp>, String) {
    (
        sync.metadata.creation_timestamp.as_ref().map(|t| t.0),
        sync.uid().unwrap_or_default(),
    )
}
