//! What every turn of every run needs, and what this process holds for the runs that are under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::Store as Reader;
use kube::{Client, ResourceExt};

use super::machine::{End, Hand};
use super::plan::Missed;
use crate::api::sync::TaranaSync;
use crate::cluster::version;
use crate::connection::{Connections, Key};
use crate::notify::Notifier;
use crate::station::Fetched;

/// What every turn needs.
pub struct Context {
    /// Talks to Kubernetes.
    pub client: Client,
    /// The connections of the same scope.
    pub connections: Arc<Connections>,
    /// The watch cache of the scope.
    pub reader: Reader<TaranaSync>,
    /// Publishes Events.
    pub notifier: Notifier,
    runs: Mutex<HashMap<String, Held>>,
}

/// What this process holds for one run. All of it may be lost without harm.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The fence that the log row gave to this process.
    pub fence: Option<i64>,
    /// The whole listing.
    pub fetched: Option<Fetched>,
    /// What the reading before that one missed, of what the table has.
    pub missed: Option<Missed>,
    /// How the run ends once its log row can be asked: what led there is not tried again meanwhile.
    pub due: Option<End>,
    /// The log row exists.
    pub registered: bool,
    /// Its log row was running when another run looked, whatever its object says: it need not queue.
    pub first: bool,
    /// Another process took the run over: hands off until then.
    pub lost_until: Option<Timestamp>,
    /// The newest `resourceVersion` that we wrote or were told: a cache that is older has yet to catch up.
    written: Option<u64>,
    /// We wrote that it ended, whatever an older cache says.
    ended: bool,
}

impl Context {
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

    /// Changes what is held for a run.
    pub(super) fn hold<T>(&self, uid: &str, change: impl FnOnce(&mut Held) -> T) -> T {
        change(self.runs().entry(uid.to_owned()).or_default())
    }

    /// Looks at what is held for a run, most likely nothing: thousands of finished ones are looked at, and leave no trace.
    pub(super) fn held<T>(&self, uid: &str, look: impl FnOnce(&Held) -> T) -> T {
        look(self.runs().get(uid).unwrap_or(&Held::default()))
    }

    /// Lets go of what an attempt left.
    pub(super) fn drop_hand(&self, uid: &str) {
        self.hold(uid, |held| {
            (held.fence, held.fetched, held.missed, held.due) = (None, None, None, None);
        });
    }

    /// How much this process holds, for the machine.
    pub(super) fn hand(&self, uid: &str) -> Hand {
        self.held(uid, |held| match (held.fence, &held.fetched) {
            (None, _) => Hand::Empty,
            (Some(_), None) => Hand::Opened,
            (Some(_), Some(_)) => Hand::Fetched,
        })
    }

    /// Remembers a write of ours.
    pub(super) fn wrote(&self, sync: &TaranaSync) {
        let (uid, version) = (sync.uid().unwrap_or_default(), version(sync));
        let ended = is_final(sync);
        self.hold(&uid, |held| {
            held.written = version.max(held.written);
            held.ended |= ended;
        });
    }

    /// Remembers what the API server told us of an object that somebody else has written.
    pub(super) fn saw(&self, sync: &TaranaSync) {
        let (uid, version) = (sync.uid().unwrap_or_default(), version(sync));
        self.hold(&uid, |held| held.written = version.max(held.written));
    }

    /// Whether the cache has yet to catch up with our last write, or with what we were told.
    pub(super) fn is_behind(&self, sync: &TaranaSync) -> bool {
        let written = self.held(&sync.uid().unwrap_or_default(), |held| held.written);
        matches!((version(sync), written), (Some(cached), Some(written)) if cached < written)
    }

    /// The run that goes before this one on its connection: the one that runs, else the oldest that waits.
    pub(super) fn ahead_of(&self, sync: &TaranaSync) -> Option<Arc<TaranaSync>> {
        let mine = key(sync);
        let before = |other: &TaranaSync| {
            !is_final(other)
                && other.metadata.uid != sync.metadata.uid
                && key(other) == mine
                && (has_started(other) || place(other) < place(sync))
        };
        let mut others = self.reader.state_filter(before);
        others.retain(|o| !self.held(&o.uid().unwrap_or_default(), |held| held.ended));
        others.into_iter().min_by_key(|o| (!has_started(o), place(o)))
    }

    /// Forgets runs whose objects are gone.
    pub(super) fn prune(&self) {
        let live: std::collections::HashSet<String> =
            self.reader.state().iter().filter_map(|s| s.uid()).collect();
        self.runs().retain(|uid, _| live.contains(uid));
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a sound map.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection that a run is for.
pub(super) fn key(sync: &TaranaSync) -> Key {
    Key {
        namespace: sync.namespace().unwrap_or_default(),
        name: sync.spec.connection_ref.name.clone(),
    }
}

/// Whether the object says that the run has ended.
pub(super) fn is_final(sync: &TaranaSync) -> bool {
    sync.status.as_ref().is_some_and(|s| s.phase.is_final())
}

fn has_started(sync: &TaranaSync) -> bool {
    sync.status.as_ref().is_some_and(|s| s.start_time.is_some())
}

/// The place in the queue: by creation, then by uid, so that it is the same for everybody.
fn place(sync: &TaranaSync) -> (Option<Timestamp>, String) {
    (
        sync.metadata.creation_timestamp.as_ref().map(|t| t.0),
        sync.uid().unwrap_or_default(),
    )
}
