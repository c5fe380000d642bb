//! The changes of the watched objects, in the order in which this process saw them. The newest are kept for streams that resume.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::select_all;
use futures::{Stream, StreamExt};
use kube::ResourceExt;
use serde_json::json;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::admin::kind::ApiKind;
use crate::admin::objects::Objects;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{CacheEvent, Scope};

/// Number of changes that a stream can be behind. A slower one ends.
const STREAM_BACKLOG: usize = 1024;
/// Number of changes that are kept for streams that resume.
const REPLAY_LIMIT: usize = 2048;
/// How long changes are kept after the last stream has ended.
const REPLAY_TTL: Duration = Duration::from_mins(2);

/// Event of a created or changed object.
const APPLIED: &str = "applied";
/// Event of a deleted object.
const DELETED: &str = "deleted";

/// A change, with its number.
#[derive(Debug)]
pub struct Change {
    /// Counts from 1.
    pub number: u64,
    /// What changed.
    pub content: Content,
}

/// What changed.
#[derive(Debug)]
pub enum Content {
    /// An object was created, changed or deleted.
    Object(ObjectChange),
    /// The objects of a kind were listed for the first time, or changes are missing.
    Listed,
}

/// An object was created, changed or deleted.
#[derive(Debug)]
pub struct ObjectChange {
    /// Name of the kind.
    pub kind: &'static str,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// The state of the object; `None` if it is deleted.
    pub version: Option<ObjectVersion>,
    /// Returns the state in the watch cache of the object with this namespace and name.
    pub cached_version: fn(&Objects, &str, &str) -> Option<ObjectVersion>,
    /// Name of the event: `applied` or `deleted`.
    pub event: &'static str,
    /// The event's JSON.
    pub data: String,
}

/// Uid and `resourceVersion` of an object.
pub type ObjectVersion = (String, String);

impl ObjectChange {
    /// Whether no later state is in the watch cache: that one has a change of its own. A deletion is always sent, because objects are
    /// identified by uid.
    pub fn is_newest(&self, objects: &Objects) -> bool {
        let is_cached = || self.version == (self.cached_version)(objects, &self.namespace, &self.name);
        self.event == DELETED || is_cached()
    }
}

/// All changes.
#[derive(Debug)]
pub(super) struct ChangeLog {
    /// Numbers of another process mean nothing here.
    process: String,
    state: Mutex<State>,
    streams: broadcast::Sender<Arc<Change>>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the newest change.
    newest: u64,
    /// Every change after this number is kept.
    dropped: u64,
    kept: VecDeque<Arc<Change>>,
    /// Since when there is no stream.
    idle_since: Option<Instant>,
}

/// The subscription of a stream.
pub(super) struct Subscription {
    /// The changes from now on.
    pub changes: broadcast::Receiver<Arc<Change>>,
    /// The changes since the last event of the stream; `None` if they are not known.
    pub missed: Option<Vec<Arc<Change>>>,
    /// Number of the newest change.
    pub newest: u64,
}

impl ChangeLog {
    pub fn new() -> Self {
        Self {
            process: Uuid::new_v4().simple().to_string(),
            state: Mutex::default(),
            streams: broadcast::channel(STREAM_BACKLOG).0,
        }
    }

    /// Records the changes of these caches. Never ends.
    pub async fn run(&self, scopes: &[Scope]) {
        let caches = scopes.iter().flat_map(|scope| {
            [
                contents::<TaranaSync>(scope).boxed(),
                contents::<TaranaSyncSchedule>(scope).boxed(),
                contents::<TaranaConnection>(scope).boxed(),
            ]
        });
        let mut all = select_all(caches);
        while let Some(content) = all.next().await {
            self.append(content);
        }
        std::future::pending::<()>().await;
    }

    /// Subscribes a stream whose last event had this id.
    pub fn subscribe(&self, last_event_id: Option<&str>) -> Subscription {
        let state = self.lock();
        let last = last_event_id
            .and_then(|id| self.number(id))
            .filter(|last| (state.dropped..=state.newest).contains(last));
        let missed = last.map(|last| {
            let kept = state.kept.iter().filter(|change| change.number > last);
            kept.map(Arc::clone).collect()
        });
        Subscription {
            changes: self.streams.subscribe(),
            missed,
            newest: state.newest,
        }
    }

    /// The id of the event with this number.
    pub fn event_id(&self, number: u64) -> String {
        format!("{}-{number}", self.process)
    }

    fn number(&self, event_id: &str) -> Option<u64> {
        let (process, number) = event_id.split_once('-')?;
        number.parse().ok().filter(|_| process == self.process)
    }

    pub(super) fn append(&self, content: impl FnOnce() -> Content) {
        let mut state = self.lock();
        state.newest += 1;
        if state.is_idle(self.streams.receiver_count()) {
            state.forget();
            return;
        }
        let change = Arc::new(Change {
            number: state.newest,
            content: content(),
        });
        if matches!(change.content, Content::Listed) {
            state.forget();
        } else {
            state.kept.push_back(Arc::clone(&change));
            if state.kept.len() > REPLAY_LIMIT
                && let Some(oldest) = state.kept.pop_front()
            {
                state.dropped = oldest.number;
            }
        }
        // Under the lock, so that no change is both kept for a subscription and sent to it. Fails without streams.
        let _ = self.streams.send(change);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics in the middle of a change, so the state behind a poisoned lock is valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps no change until now.
    fn forget(&mut self) {
        self.kept.clear();
        self.dropped = self.newest;
    }

    fn is_idle(&mut self, streams: usize) -> bool {
        if streams > 0 {
            self.idle_since = None;
            return false;
        }
        self.idle_since.get_or_insert_with(Instant::now).elapsed() > REPLAY_TTL
    }
}

/// Makes a change. It is called only if a stream may need it.
type MakeContent = Box<dyn FnOnce() -> Content + Send>;

/// The changes of a kind in a scope.
fn contents<K: ApiKind>(scope: &Scope) -> impl Stream<Item = MakeContent> + Send + use<K> {
    let make = |event| Box::new(|| content::<K>(event)) as MakeContent;
    K::cache(scope).events().map(make)
}

fn content<K: ApiKind>(event: CacheEvent<K>) -> Content {
    match event {
        CacheEvent::Applied(object) => Content::Object(applied(object.as_ref())),
        CacheEvent::Deleted(object) => Content::Object(deleted(object.as_ref())),
        CacheEvent::Listed => Content::Listed,
    }
}

fn applied<K: ApiKind>(object: &K) -> ObjectChange {
    ObjectChange {
        kind: K::NAME,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        version: Some(version(object)),
        cached_version: cached_version::<K>,
        event: APPLIED,
        data: json!({"kind": K::NAME, "object": K::Response::from(object)}).to_string(),
    }
}

fn deleted<K: ApiKind>(object: &K) -> ObjectChange {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    ObjectChange {
        kind: K::NAME,
        version: None,
        cached_version: cached_version::<K>,
        event: DELETED,
        data: json!({"kind": K::NAME, "namespace": namespace, "name": name, "id": object.uid()}).to_string(),
        namespace,
        name,
    }
}

fn cached_version<K: ApiKind>(objects: &Objects, namespace: &str, name: &str) -> Option<ObjectVersion> {
    let cached = objects.get::<K>(namespace, name)?;
    Some(version(cached.as_ref()))
}

fn version(object: &impl ResourceExt) -> ObjectVersion {
    let version = object.resource_version();
    (object.uid().unwrap_or_default(), version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(n: u64) -> Content {
        Content::Object(ObjectChange {
            kind: "syncs",
            namespace: "ns".into(),
            name: "run".into(),
            version: None,
            cached_version: |_, _, _| None,
            event: APPLIED,
            data: n.to_string(),
        })
    }

    fn missed(log: &ChangeLog, last_event_id: &str) -> Option<Vec<u64>> {
        let missed = log.subscribe(Some(last_event_id)).missed?;
        Some(missed.iter().map(|change| change.number).collect())
    }

    #[test]
    fn a_stream_resumes_after_its_last_event() {
        let log = ChangeLog::new();
        for n in 1..=5 {
            log.append(|| change(n));
        }
        assert_eq!(missed(&log, &log.event_id(3)), Some(vec![4, 5]));
        assert_eq!(missed(&log, &log.event_id(5)), Some(vec![]));
        // Another process, a number from the future, and nonsense.
        for id in [
            &ChangeLog::new().event_id(3),
            &log.event_id(6),
            "",
            "3",
            "-",
            "x-3",
        ] {
            assert_eq!(missed(&log, id), None, "{id}");
        }
        assert!(log.subscribe(None).missed.is_none());
        // Changes may be missing before a listing.
        log.append(|| Content::Listed);
        log.append(|| change(7));
        assert_eq!(missed(&log, &log.event_id(5)), None);
        assert_eq!(missed(&log, &log.event_id(6)), Some(vec![7]));
    }

    #[test]
    fn only_the_newest_changes_are_kept() {
        let log = ChangeLog::new();
        let count = u64::try_from(REPLAY_LIMIT).unwrap();
        for n in 0..count + 3 {
            log.append(|| change(n));
        }
        assert_eq!(missed(&log, &log.event_id(2)), None);
        assert_eq!(missed(&log, &log.event_id(3)).unwrap().len(), REPLAY_LIMIT);
    }

    #[tokio::test]
    async fn each_change_is_either_missed_or_still_to_come() {
        let log = ChangeLog::new();
        log.append(|| change(1));
        let mut subscription = log.subscribe(Some(&log.event_id(0)));
        log.append(|| change(2));
        let missed = subscription.missed.unwrap();
        assert_eq!((missed.len(), missed[0].number, subscription.newest), (1, 1, 1));
        assert_eq!(subscription.changes.recv().await.unwrap().number, 2);
    }
}
