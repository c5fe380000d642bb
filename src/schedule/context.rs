//! What every reconcile of a schedule uses, and what this process remembers until its caches catch up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::Store as Reader;
use kube::{Client, ResourceExt};

use super::run_template;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{Scope, WatchCache, owned_by, version};
use crate::connection::Key;
use crate::notify::Notifier;

/// By then the cache has a created run, or the run was deleted again.
const MAX_CACHE_LAG: Duration = Duration::from_secs(30);

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
    states: Mutex<HashMap<String, ScheduleState>>,
}

/// What this process remembers about one schedule. Losing it does no harm.
#[derive(Default)]
struct ScheduleState {
    /// The newest `resourceVersion` that this process wrote.
    written: Option<u64>,
    /// Runs that this process created and the cache may not have yet.
    created: Vec<(Arc<TaranaSync>, Instant)>,
}

impl ScheduleContext {
    /// A context without any state.
    pub fn new(client: Client, scope: &Scope, notifier: Notifier) -> Self {
        Self {
            client,
            reader: scope.schedules.reader(),
            runs: scope.syncs.clone(),
            connections: scope.connections.reader(),
            notifier,
            states: Mutex::default(),
        }
    }

    /// The runs of a schedule, including those that this process has just created.
    pub(super) fn runs_of(&self, schedule: &TaranaSyncSchedule) -> Vec<Arc<TaranaSync>> {
        let mut runs = self.runs.find(&owned_by(&uid(schedule)));
        runs.retain(|run| run_template::owns(schedule, run));
        let mut states = self.lock();
        if let Some(state) = states.get_mut(&uid(schedule)) {
            state.created.retain(|(run, created_at)| {
                created_at.elapsed() < MAX_CACHE_LAG && !runs.iter().any(|cached| cached.uid() == run.uid())
            });
            runs.extend(state.created.iter().map(|(run, _)| Arc::clone(run)));
        }
        runs
    }

    /// Remembers a run that exists in the API server.
    pub(super) fn record_created(&self, schedule: &TaranaSyncSchedule, run: TaranaSync) {
        let mut states = self.lock();
        let state = states.entry(uid(schedule)).or_default();
        state.created.push((Arc::new(run), Instant::now()));
    }

    /// Remembers the version that this process wrote.
    pub(super) fn record_version(&self, schedule: &TaranaSyncSchedule) {
        let mut states = self.lock();
        let version = version(schedule);
        let state = states.entry(uid(schedule)).or_default();
        state.written = version.max(state.written);
        // Drop the states of deleted schedules.
        if states.len() > 2 * self.reader.len() + 64 {
            let live: Vec<_> = self.reader.state().iter().map(|s| uid(s)).collect();
            states.retain(|uid, _| live.contains(uid));
        }
    }

    /// Whether the cache is behind the last write of this process.
    pub(super) fn cache_is_stale(&self, schedule: &TaranaSyncSchedule) -> bool {
        let written = self.lock().get(&uid(schedule)).and_then(|state| state.written);
        matches!((version(schedule), written), (Some(cached), Some(written)) if cached < written)
    }

    /// Whether the connection of the template exists.
    pub(super) fn connection_exists(&self, schedule: &TaranaSyncSchedule) -> bool {
        self.connections
            .get(&connection_key(schedule).object_ref())
            .is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ScheduleState>> {
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

fn uid(schedule: &TaranaSyncSchedule) -> String {
    schedule.uid().unwrap_or_default()
}
