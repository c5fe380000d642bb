//! Which runs belong to which schedule, as the watch tells: among ten thousand runs each schedule finds its few at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// While the cache lists everything anew, it tells of objects that it will have only in a moment.
const FOUND_BY_THEN: Duration = Duration::from_mins(10);

/// Names of runs by the uid of their schedule. A name may outlive its run: whoever looks it up finds nothing.
#[derive(Debug, Default)]
pub struct Children {
    names: Mutex<HashMap<String, BTreeMap<String, Instant>>>,
}

impl Children {
    /// Takes note of a run that the watch tells of, and says which schedule it belongs to.
    pub fn note(&self, run: &TaranaSync) -> Option<ObjectRef<TaranaSyncSchedule>> {
        let ours = (
            TaranaSyncSchedule::kind(&()),
            TaranaSyncSchedule::api_version(&()),
        );
        let owner = run.owner_references().iter().find(|owner| {
            owner.controller == Some(true)
                && (owner.kind.as_str(), owner.api_version.as_str()) == (&ours.0, &ours.1)
        })?;
        self.names()
            .entry(owner.uid.clone())
            .or_default()
            .insert(run.name_any(), Instant::now());
        Some(ObjectRef::new(&owner.name).within(&run.namespace()?))
    }

    /// What `find` still finds of the runs of a schedule; what it has not found for long is forgotten.
    pub(super) fn of<T>(&self, uid: &str, find: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let mut names = self.names();
        let Some(mine) = names.get_mut(uid) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        mine.retain(|name, noted| {
            let run = find(name);
            let is_there = run.is_some();
            found.extend(run);
            is_there || noted.elapsed() < FOUND_BY_THEN
        });
        if mine.is_empty() {
            names.remove(uid);
        }
        found
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, Instant>>> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a sound map.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
