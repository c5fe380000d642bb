//! What every turn of every schedule needs, and what this process remembers until its caches have caught up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::{ObjectRef, Store as Reader};
use kube::{Client, ResourceExt};

use super::child;
use super::children::Children;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::version;
use crate::connection::{Connections, Key, State};
use crate::notify::Notifier;

/// By then the cache has what was created, or it was deleted again.
const CATCHES_UP: Duration = Duration::from_secs(30);

/// What every turn needs.
pub struct Context {
    /// Talks to Kubernetes.
    pub client: Client,
    /// The watch cache of the schedules of the scope.
    pub reader: Reader<TaranaSyncSchedule>,
    /// The watch cache of the runs of the scope.
    pub runs: Reader<TaranaSync>,
    /// Which of them belong to which schedule.
    pub children: Arc<Children>,
    /// The connections of the scope.
    pub connections: Arc<Connections>,
    /// Publishes Events.
    pub notifier: Notifier,
    held: Mutex<HashMap<String, Held>>,
}

/// What is remembered of one schedule. All of it may be lost without harm.
#[derive(Default)]
struct Held {
    /// The newest `resourceVersion` that we wrote.
    written: Option<u64>,
    /// Runs that we created and the cache may not have yet.
    created: Vec<(Arc<TaranaSync>, Instant)>,
}

impl Context {
    /// A context that remembers nothing.
    pub fn new(
        client: Client,
        reader: Reader<TaranaSyncSchedule>,
        runs: (Reader<TaranaSync>, Arc<Children>),
        connections: Arc<Connections>,
        notifier: Notifier,
    ) -> Self {
        Self {
            client,
            reader,
            runs: runs.0,
            children: runs.1,
            connections,
            notifier,
            held: Mutex::default(),
        }
    }

    /// The runs of a schedule, those that we have just created included.
    pub(super) fn runs_of(&self, schedule: &TaranaSyncSchedule) -> Vec<Arc<TaranaSync>> {
        let namespace = schedule.namespace().unwrap_or_default();
        let cached = |name: &str| self.runs.get(&ObjectRef::new(name).within(&namespace));
        let mut runs = self.children.of(&uid(schedule), |name| {
            cached(name).filter(|run| child::is_of(schedule, run))
        });
        let mut held = self.held();
        if let Some(held) = held.get_mut(&uid(schedule)) {
            held.created.retain(|(run, since)| {
                since.elapsed() < CATCHES_UP && !runs.iter().any(|known| known.uid() == run.uid())
            });
            runs.extend(held.created.iter().map(|(run, _)| Arc::clone(run)));
        }
        runs
    }

    /// Remembers a run that the API server has for certain.
    pub(super) fn created(&self, schedule: &TaranaSyncSchedule, run: TaranaSync) {
        let mut held = self.held();
        let held = held.entry(uid(schedule)).or_default();
        held.created.push((Arc::new(run), Instant::now()));
    }

    /// Remembers a write of ours.
    pub(super) fn wrote(&self, schedule: &TaranaSyncSchedule) {
        let mut held = self.held();
        let version = version(schedule);
        let known = held.entry(uid(schedule)).or_default();
        known.written = version.max(known.written);
        // Those that are gone.
        if held.len() > 2 * self.reader.len() + 64 {
            let live: Vec<_> = self.reader.state().iter().map(|s| uid(s)).collect();
            held.retain(|uid, _| live.contains(uid));
        }
    }

    /// Whether the cache has yet to catch up with our last write.
    pub(super) fn is_behind(&self, schedule: &TaranaSyncSchedule) -> bool {
        let written = self.held().get(&uid(schedule)).and_then(|held| held.written);
        matches!((version(schedule), written), (Some(cached), Some(written)) if cached < written)
    }

    /// Whether the connection of the template exists.
    pub(super) fn is_connected(&self, schedule: &TaranaSyncSchedule) -> bool {
        self.connections.view(&key(schedule)).state != State::Missing
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a sound map.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that the runs of a schedule are for.
pub(super) fn key(schedule: &TaranaSyncSchedule) -> Key {
    Key {
        namespace: schedule.namespace().unwrap_or_default(),
        name: schedule.spec.template.spec.connection_ref.name.clone(),
    }
}

fn uid(schedule: &TaranaSyncSchedule) -> String {
    schedule.uid().unwrap_or_default()
}
