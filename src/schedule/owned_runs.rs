//! An index of runs by the schedule that owns them, filled from the watch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// How long a name stays in the index although the cache does not have the run: while the cache lists again, a run is
/// indexed before the cache has it.
const MISSING_TIMEOUT: Duration = Duration::from_mins(10);

/// Names of runs by the uid of their schedule. A name may outlive its run.
#[derive(Debug, Default)]
pub struct OwnedRuns {
    names: Mutex<HashMap<String, BTreeMap<String, Instant>>>,
}

impl OwnedRuns {
    /// Indexes a run. Returns the schedule that owns it, if any.
    pub fn record(&self, run: &TaranaSync) -> Option<ObjectRef<TaranaSyncSchedule>> {
        let schedule = (
            TaranaSyncSchedule::kind(&()),
            TaranaSyncSchedule::api_version(&()),
        );
        let owner = run.owner_references().iter().find(|owner| {
            owner.controller == Some(true)
                && (owner.kind.as_str(), owner.api_version.as_str()) == (&schedule.0, &schedule.1)
        })?;
        self.lock()
            .entry(owner.uid.clone())
            .or_default()
            .insert(run.name_any(), Instant::now());
        Some(ObjectRef::new(&owner.name).within(&run.namespace()?))
    }

    /// The runs of a schedule that `find` finds by name. Drops names that it has not found for long.
    pub(super) fn find<T>(&self, uid: &str, find: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let mut index = self.lock();
        let Some(names) = index.get_mut(uid) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        names.retain(|name, recorded_at| {
            let run = find(name);
            let exists = run.is_some();
            found.extend(run);
            exists || recorded_at.elapsed() < MISSING_TIMEOUT
        });
        if names.is_empty() {
            index.remove(uid);
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, Instant>>> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
