//! What every reconcile of a run needs, and the state that this process keeps for active runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store as Reader};
use kube::{Client, ResourceExt};
use uuid::Uuid;

use super::clock::{SteadyClock, now};
use super::concurrency::{Answer, Servers, Slot, SyncSlots};
use super::machine::{AttemptState, Termination};
use super::plan::Missed;
use super::spans::SpanRecorder;
use crate::api::sync::TaranaSync;
use crate::cluster::{WatchCache, unfinished_on, version};
use crate::connection::{ConnectionClients, Connections, Key};
use crate::fault::Fault;
use crate::leader::Validity;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::station::Fetched;

/// What every reconcile needs.
pub struct SyncContext {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// The connections of the same scope.
    pub connections: Arc<Connections>,
    /// The runs of the scope.
    pub syncs: WatchCache<TaranaSync>,
    /// Publishes Events.
    pub notifier: Notifier,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Limits how many runs of the process read or write at once.
    pub slots: SyncSlots,
    /// The cluster, if it is known.
    pub cluster_uid: Option<Uuid>,
    /// Whether this process may work.
    pub lease: Validity,
    /// Runs to reconcile.
    requeue: UnboundedSender<ObjectRef<TaranaSync>>,
    /// The runs that were in a step when this process began to work. Nobody works on them any more.
    found: HashSet<String>,
    runs: Mutex<HashMap<String, RunState>>,
}

/// What this process keeps for one run. All of it may be lost without harm.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct RunState {
    /// The fence that the log row gave to this process, once the object shows it.
    pub fence: Option<i64>,
    /// The same, whether the object shows it or not.
    pub row_fence: Option<i64>,
    /// The complete listing.
    pub fetched: Option<Fetched>,
    /// The rows of the table that the previous listing did not contain.
    pub missed: Option<Missed>,
    /// How the run ends once its log row can be closed. The step that led here is not repeated.
    pub pending_end: Option<Termination>,
    /// The lock for which Apply waits, and who holds it.
    pub waits_for_lock: Option<String>,
    /// Why its log row cannot be closed yet.
    pub row_fault: Option<Fault>,
    /// It ended although its log row could not be closed: the sweeper does it.
    pub unsettled: bool,
    /// The log row exists.
    pub registered: bool,
    /// What the run does and what it waits for.
    pub spans: Option<SpanRecorder>,
    /// The clients with which this process last wrote the log row. They outlive the connection and its Secrets, so that the
    /// row is closed whatever was deleted first.
    pub clients: Option<Arc<ConnectionClients>>,
    /// Started when this process first evaluated the gate of the run.
    pub clock: Option<SteadyClock>,
    /// Another run found this run's log row running, whatever its object says: it skips the queue.
    pub skips_queue: bool,
    /// This process has worked on the run.
    pub was_opened: bool,
    /// Another process took the run over: do nothing until then.
    pub fenced_until: Option<Timestamp>,
    /// The API server rejects writes of this object: other runs do not wait for it.
    pub unwritable: bool,
    /// The final Events were published.
    pub announced: bool,
    /// The finalizer was removed.
    pub released: bool,
    /// The newest `resourceVersion` that this process wrote or read. An older cache entry is stale.
    newest_version: Option<u64>,
    /// This process wrote that the run has ended, whatever an older cache entry says.
    ended: bool,
}

impl SyncContext {
    /// A context without any run, and the runs that it requeues. The watch caches must be synced.
    pub fn new(
        client: Client,
        connections: Arc<Connections>,
        syncs: WatchCache<TaranaSync>,
        (notifier, metrics): (Notifier, Metrics),
        (slots, lease): (SyncSlots, Validity),
        cluster_uid: Option<Uuid>,
    ) -> (Self, UnboundedReceiver<ObjectRef<TaranaSync>>) {
        let (requeue, requeued) = unbounded();
        let in_a_step =
            |sync: &TaranaSync| !sync.is_final() && sync.status.as_ref().is_some_and(|s| s.step.is_some());
        let found = syncs.reader().state_filter(in_a_step);
        let context = Self {
            found: found.iter().filter_map(|sync| sync.uid()).collect(),
            client,
            connections,
            syncs,
            notifier,
            metrics,
            slots,
            cluster_uid,
            lease,
            requeue,
            runs: Mutex::default(),
        };
        (context, requeued)
    }

    /// A slot for this run, which needs these servers, or why it must wait.
    pub(super) fn take_slot(&self, sync: &TaranaSync, servers: Servers) -> Result<Slot, Answer> {
        self.slots.take(sync, servers, &self.requeue)
    }

    /// Lets this run be the only one of those that were interrupted by a crash. False if there is another one.
    pub(super) fn take_alone(&self, uid: &str) -> bool {
        self.slots.take_alone(uid, &self.requeue)
    }

    /// Whether the run was in a step when this process began to work. Otherwise it was given to this process later, by its labels.
    pub(super) fn was_found_in_a_step(&self, uid: &str) -> bool {
        self.found.contains(uid)
    }

    /// Changes the state of a run.
    pub(super) fn with_state<T>(&self, uid: &str, change: impl FnOnce(&mut RunState) -> T) -> T {
        change(self.runs().entry(uid.to_owned()).or_default())
    }

    /// Reads the state of a run without creating an entry, since most runs are finished and have none.
    pub(super) fn read_state<T>(&self, uid: &str, read: impl FnOnce(&RunState) -> T) -> T {
        read(self.runs().get(uid).unwrap_or(&RunState::default()))
    }

    /// Reads or changes what is recorded of a run.
    pub(super) fn with_spans<T>(&self, uid: &str, change: impl FnOnce(&mut SpanRecorder) -> T) -> T {
        self.with_state(uid, |state| {
            change(
                state
                    .spans
                    .get_or_insert_with(|| SpanRecorder::new(SteadyClock::start())),
            )
        })
    }

    /// The time of a run: steps of the machine's clock do not change it while this process knows the run.
    pub(super) fn time_of(&self, uid: &str) -> Timestamp {
        self.read_state(uid, |state| state.clock)
            .map_or_else(now, SteadyClock::now)
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
        let ended = sync.is_final();
        self.with_state(&uid, |state| {
            state.newest_version = version.max(state.newest_version);
            state.ended |= ended;
            state.unwritable = false;
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

    /// The run for which this one waits: the last of those that precede it on its connection. It is the same until that run
    /// ends, so that a waiting run writes its status once, however many runs precede it.
    pub(super) fn predecessor(&self, sync: &TaranaSync) -> Option<Arc<TaranaSync>> {
        let own = sync.queue_position();
        let mut queue = self.queue(&Key::of_run(sync));
        queue.retain(|run| run.metadata.uid != sync.metadata.uid && run.queue_position() < own);
        queue.into_iter().max_by_key(|run| run.queue_position())
    }

    /// Why the log row of a run that is about to end cannot be closed yet.
    pub(super) fn waits_for_row(&self, sync: &TaranaSync) -> Option<Fault> {
        self.read_state(&sync.uid().unwrap_or_default(), |state| state.row_fault.clone())
    }

    /// The runs that ended without their log rows.
    pub(super) fn unsettled(&self) -> HashSet<String> {
        let runs = self.runs();
        let unsettled = runs.iter().filter(|(_, state)| state.unsettled);
        unsettled.map(|(uid, _)| uid.clone()).collect()
    }

    /// Requeues the runs that may start, or wait for another one, because this one no longer precedes them.
    pub(super) fn requeue_next_after(&self, sync: &TaranaSync) {
        let mut waiting = self.queue(&Key::of_run(sync));
        waiting.retain(|run| !run.has_started());
        let place = sync.creation_order();
        let next = waiting.iter().min_by_key(|run| run.creation_order());
        let later = waiting.iter().filter(|run| run.creation_order() > place);
        let successor = later.min_by_key(|run| run.creation_order());
        for run in next.into_iter().chain(successor) {
            // Fails only if the controller has ended.
            let _ = self.requeue.unbounded_send(ObjectRef::from_obj(run.as_ref()));
        }
    }

    /// Whether this state of a run is its end.
    pub(super) fn is_over(&self, sync: &TaranaSync) -> bool {
        sync.is_final() || self.reader().get(&ObjectRef::from_obj(sync)).is_none()
    }

    /// Whether the object of this run is gone although the run had not ended; true once only.
    pub(super) fn take_deleted(&self, sync: &TaranaSync) -> bool {
        let current = self.reader().get(&ObjectRef::from_obj(sync));
        let exists = current.is_some_and(|current| current.metadata.uid == sync.metadata.uid);
        let is_unfinished = !exists && !sync.is_final();
        is_unfinished
            && self.with_state(&sync.uid().unwrap_or_default(), |state| {
                !std::mem::replace(&mut state.ended, true)
            })
    }

    /// Drops what this process keeps for a run that another operator continues, but that it has worked on the run.
    pub(super) fn hand_over(&self, uid: &str) {
        self.with_state(uid, |state| {
            *state = RunState {
                was_opened: state.was_opened,
                ..RunState::default()
            };
        });
    }

    /// The unfinished runs of a connection, without those that this process knows to have ended or cannot write.
    fn queue(&self, connection: &Key) -> Vec<Arc<TaranaSync>> {
        let mut queue = self
            .syncs
            .find(&unfinished_on(&connection.namespace, &connection.name));
        queue.retain(|run| {
            self.read_state(&run.uid().unwrap_or_default(), |state| {
                !state.ended && !state.unwritable
            })
        });
        queue
    }

    /// The watch cache of the runs.
    pub(super) fn reader(&self) -> Reader<TaranaSync> {
        self.syncs.reader()
    }

    /// Drops the state of runs whose objects are gone.
    pub(super) fn prune(&self) {
        let live: HashSet<String> = self.reader().state().iter().filter_map(|s| s.uid()).collect();
        self.runs().retain(|uid, _| live.contains(uid));
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, RunState>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent map.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
