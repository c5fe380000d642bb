//! What every reconcile of a schedule uses, and what this process remembers until its caches catch up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::{ObjectRef, Store as Reader};
use kube::{Client, ResourceExt};

use super::observed::Refusal;
use super::{run_template, slot_history};
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{Scope, WatchCache, owned_by, version};
use crate::connection::Key;
use crate::metrics::Metrics;
use crate::notify::Notifier;

/// By then the cache has a created run, or the run was deleted again.
const MAX_CACHE_LAG: Duration = Duration::from_secs(30);
/// Within this time, a schedule that is deleted and created again may get a creation time before its last slot, because the clocks
/// of operator and API server differ.
const MAX_REPLACEMENT: Duration = Duration::from_mins(5);
/// Pause after the API server refused to create a run.
const REFUSAL_PAUSE: Duration = Duration::from_secs(15);

/// What every reconcile uses.
pub struct ScheduleContext {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// Watch cache of the scope's schedules.
    pub reader: Reader<TaranaSyncSchedule>,
    /// Watch cache of the scope's runs.
    pub runs: WatchCache<TaranaSync>,
    /// Watch cache of the scope's connections.
    pub connections: Reader<TaranaConnection>,
    /// Publishes Events.
    pub notifier: Notifier,
    /// Counts what happens.
    pub metrics: Metrics,
    states: Mutex<States>,
}

/// By namespace and name: an object that is created again continues with the state of the earlier one.
type States = HashMap<ObjectRef<TaranaSyncSchedule>, ScheduleState>;

/// What this process remembers about one schedule. Losing it does no harm.
#[derive(Default)]
struct ScheduleState {
    /// The newest `resourceVersion` that this process wrote.
    written: Option<u64>,
    /// Runs that this process created and the cache may not have yet.
    created: Vec<(Arc<TaranaSync>, Instant)>,
    /// The newest slot that started a run, and when it was started.
    started: Option<(Timestamp, Instant)>,
    /// The newest slot whose run the API server refused, the server's message, and when.
    refused: Option<(Timestamp, String, Instant)>,
}

impl ScheduleState {
    /// Whether a deleted schedule may still be created again within its last slot.
    fn is_recent(&self) -> bool {
        self.started.is_some_and(|(_, at)| at.elapsed() < MAX_REPLACEMENT)
    }
}

impl ScheduleContext {
    /// A context without any state.
    pub fn new(client: Client, scope: &Scope, (notifier, metrics): (Notifier, Metrics)) -> Self {
        Self {
            client,
            reader: scope.schedules.reader(),
            runs: scope.syncs.clone(),
            connections: scope.connections.reader(),
            notifier,
            metrics,
            states: Mutex::default(),
        }
    }

    /// The runs of a schedule, including those that this process has just created.
    pub(super) fn runs_of(&self, schedule: &TaranaSyncSchedule) -> Vec<Arc<TaranaSync>> {
        let mut runs = self.runs.find(&owned_by(&schedule.uid().unwrap_or_default()));
        runs.retain(|run| run_template::owns(schedule, run));
        let mut states = self.lock();
        if let Some(state) = states.get_mut(&key(schedule)) {
            state.created.retain(|(run, created_at)| {
                created_at.elapsed() < MAX_CACHE_LAG
                    && run_template::owns(schedule, run)
                    && !runs.iter().any(|cached| cached.uid() == run.uid())
            });
            runs.extend(state.created.iter().map(|(run, _)| Arc::clone(run)));
        }
        runs
    }

    /// Whether the object still exists that has the name of the newest slot's run, and does not belong to the schedule.
    pub(super) fn name_is_taken(&self, schedule: &TaranaSyncSchedule) -> bool {
        let Some(name) = slot_history::taken_name(schedule) else {
            return false;
        };
        let namespace = schedule.namespace().unwrap_or_default();
        let run = self.runs.reader().get(&ObjectRef::new(name).within(&namespace));
        // One that the cache does not have may be another operator's.
        run.map_or(!self.runs.selector().selects_all(), |run| {
            !run_template::owns(schedule, &run)
        })
    }

    /// Remembers a run that exists in the API server.
    pub(super) fn record_created(&self, schedule: &TaranaSyncSchedule, run: TaranaSync) {
        let mut states = self.lock();
        let state = states.entry(key(schedule)).or_default();
        let slot = slot_history::slot_of(&run).map(|slot| (slot, Instant::now()));
        state.started = slot.max(state.started);
        state.created.push((Arc::new(run), Instant::now()));
    }

    /// The newest slot that started a run of a schedule with this name.
    pub(super) fn started_slot(&self, schedule: &TaranaSyncSchedule) -> Option<Timestamp> {
        let (slot, _) = self.lock().get(&key(schedule))?.started?;
        Some(slot)
    }

    /// Remembers that the API server refused to create the run of a slot.
    pub(super) fn record_refusal(&self, schedule: &TaranaSyncSchedule, slot: Timestamp, message: &str) {
        let mut states = self.lock();
        let state = states.entry(key(schedule)).or_default();
        state.refused = Some((slot, message.to_owned(), Instant::now()));
    }

    /// The newest refusal, and the rest of the pause after it.
    pub(super) fn refusal(&self, schedule: &TaranaSyncSchedule) -> Option<Refusal> {
        let states = self.lock();
        let (slot, message, at) = states.get(&key(schedule))?.refused.as_ref()?;
        let retry_in = REFUSAL_PAUSE.saturating_sub(at.elapsed());
        Some(Refusal {
            slot: *slot,
            message: message.clone(),
            retry_in: SignedDuration::try_from(retry_in).unwrap_or_default(),
        })
    }

    /// Remembers the version that this process wrote.
    pub(super) fn record_version(&self, schedule: &TaranaSyncSchedule) {
        let mut states = self.lock();
        let version = version(schedule);
        let state = states.entry(key(schedule)).or_default();
        state.written = version.max(state.written);
        if states.len() > 2 * self.reader.len() + 64 {
            states.retain(|key, state| state.is_recent() || self.reader.get(key).is_some());
        }
    }

    /// Whether the cache is behind the last write of this process.
    pub(super) fn cache_is_stale(&self, schedule: &TaranaSyncSchedule) -> bool {
        let written = self.lock().get(&key(schedule)).and_then(|state| state.written);
        matches!((version(schedule), written), (Some(cached), Some(written)) if cached < written)
    }

    /// Whether the connection of the template exists.
    pub(super) fn connection_exists(&self, schedule: &TaranaSyncSchedule) -> bool {
        self.connections
            .get(&connection_key(schedule).object_ref())
            .is_some()
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection of a schedule's runs.
pub(super) fn connection_key(schedule: &TaranaSyncSchedule) -> Key {
    Key {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.spec.template.spec.connection_ref.name.clone(),
    }
}

fn key(schedule: &TaranaSyncSchedule) -> ObjectRef<TaranaSyncSchedule> {
    ObjectRef::from_obj(schedule)
}
