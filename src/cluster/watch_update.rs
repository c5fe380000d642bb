//! Keeps a watch cache current.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store as Reader, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::clients::{WATCH_SILENCE, watch_config};
use super::decoded::{Decoded, InvalidObject, InvalidObjects};
use super::index::Index;
use super::kind::Kind;
use super::watch_health::WatchHealth;

/// A failing watch that has not failed again for so long is open: each of its requests fails earlier.
const RECOVERY_SILENCE: Duration = WATCH_SILENCE.saturating_add(Duration::from_secs(10));

/// A change of the cache.
#[derive(Clone, Debug)]
pub enum CacheEvent<K> {
    /// An object was created or changed.
    Applied(Arc<K>),
    /// An object was deleted, or its labels no longer match the selector; this is its last state.
    Deleted(Arc<K>),
    /// All objects were listed for the first time, or the subscriber has missed events.
    Listed,
}

/// The writing side of a watch cache.
pub(super) struct WatchUpdate<K: Kind> {
    pub reader: Reader<K>,
    pub writer: Writer<K>,
    pub trim: fn(&mut K),
    pub index: Arc<Index<K>>,
    pub invalid: watch::Sender<InvalidObjects<K>>,
    /// Objects of the listing in progress that cannot be decoded.
    pub listed_invalid: InvalidObjects<K>,
    /// The objects of the listing in progress, unless it is the first.
    pub relisted: Option<HashSet<ObjectRef<K>>>,
    pub events: broadcast::Sender<CacheEvent<K>>,
    pub listed: watch::Sender<u64>,
    pub health: WatchHealth,
}

impl<K: Kind> WatchUpdate<K> {
    /// Lists and watches, and starts over when a new listing is requested.
    pub async fn run(
        mut self,
        api: Api<Decoded<K>>,
        selector: Option<String>,
        mut requests: watch::Receiver<u64>,
    ) {
        let config = watcher::Config {
            label_selector: selector,
            ..watch_config()
        };
        loop {
            let number = *requests.borrow_and_update();
            let mut events = std::pin::pin!(watcher(api.clone(), config.clone()));
            while let Some(event) = next_event(&mut events, &mut self.health, &mut requests).await {
                self.apply(event, number);
            }
        }
    }

    /// `listing` is the number of the listing in progress.
    fn apply(&mut self, event: Event<Decoded<K>>, listing: u64) {
        match event {
            Event::Init => self.listing_started(),
            Event::InitApply(Decoded::Valid(object)) => self.apply_listed(object),
            Event::InitApply(Decoded::Invalid(invalid)) => {
                self.listed_invalid.insert(name(&invalid), Arc::new(*invalid));
            }
            Event::InitDone => {
                self.listing_completed();
                self.listed.send_replace(listing);
            }
            Event::Apply(Decoded::Valid(object)) => self.applied(object),
            Event::Apply(Decoded::Invalid(invalid)) => self.invalidated(*invalid),
            Event::Delete(Decoded::Valid(object)) => self.deleted(object),
            Event::Delete(Decoded::Invalid(invalid)) => self.forget_invalid(&name(&invalid)),
        }
    }

    fn applied(&mut self, object: K) {
        let (name, object) = (ObjectRef::from_obj(&object), self.trimmed(object));
        self.forget_invalid(&name);
        let former = self.reader.get(&name);
        self.writer.apply_watcher_event(&Event::Apply(object));
        // Shares the `Arc` of the cache.
        let present = self.reader.get(&name);
        self.index.update(former.as_ref(), present.as_ref());
        if let Some(present) = present {
            self.notify(CacheEvent::Applied(present));
        }
    }

    fn deleted(&mut self, object: K) {
        let name = ObjectRef::from_obj(&object);
        self.forget_invalid(&name);
        self.index.update(self.reader.get(&name).as_ref(), None);
        self.writer.apply_watcher_event(&Event::Delete(object.clone()));
        self.notify(CacheEvent::Deleted(Arc::new(object)));
    }

    /// An object became invalid: its former state is no longer true.
    fn invalidated(&mut self, invalid: InvalidObject) {
        let name = name(&invalid);
        let former = self.reader.get(&name);
        self.report(&invalid);
        self.invalid.send_modify(|all| {
            all.insert(name, Arc::new(invalid));
        });
        if let Some(former) = former {
            self.index.update(Some(&former), None);
            self.writer
                .apply_watcher_event(&Event::Delete(former.as_ref().clone()));
            self.notify(CacheEvent::Deleted(former));
        }
    }

    fn listing_started(&mut self) {
        self.listed_invalid.clear();
        if *self.listed.borrow() == 0 {
            self.writer.apply_watcher_event(&Event::Init);
        } else {
            self.relisted = Some(HashSet::new());
        }
    }

    /// Only the first listing replaces the whole cache. A later one is compared with it, so that no object is in memory twice, and
    /// subscribers learn what has changed.
    fn apply_listed(&mut self, object: K) {
        let Some(relisted) = &mut self.relisted else {
            let object = self.trimmed(object);
            self.writer.apply_watcher_event(&Event::InitApply(object));
            return;
        };
        let name = ObjectRef::from_obj(&object);
        let cached = self.reader.get(&name);
        relisted.insert(name);
        match cached {
            // It was deleted and created again.
            Some(cached) if cached.uid() != object.uid() => self.deleted(cached.as_ref().clone()),
            Some(cached) if cached.resource_version() == object.resource_version() => return,
            _ => {}
        }
        self.applied(object);
    }

    fn listing_completed(&mut self) {
        match self.relisted.take() {
            None => {
                self.writer.apply_watcher_event(&Event::InitDone);
                self.index.replace(&self.reader.state());
                self.notify(CacheEvent::Listed);
            }
            Some(listed) => {
                for object in self.reader.state() {
                    if !listed.contains(&ObjectRef::from_obj(object.as_ref())) {
                        self.deleted(object.as_ref().clone());
                    }
                }
            }
        }
        let listed = std::mem::take(&mut self.listed_invalid);
        for invalid in listed.values() {
            self.report(invalid);
        }
        self.invalid.send_if_modified(|all| {
            let changed = !(all.is_empty() && listed.is_empty());
            *all = listed;
            changed
        });
    }

    fn forget_invalid(&self, name: &ObjectRef<K>) {
        self.invalid.send_if_modified(|all| all.remove(name).is_some());
    }

    /// Logs each version of an invalid object once.
    fn report(&self, invalid: &InvalidObject) {
        let known = self.invalid.borrow().get(&name(invalid)).cloned();
        if known.is_some_and(|known| known.metadata.resource_version == invalid.metadata.resource_version) {
            return;
        }
        let metadata = &invalid.metadata;
        tracing::warn!(
            kind = %K::kind(&()),
            namespace = metadata.namespace,
            name = metadata.name,
            "ignored, because it cannot be decoded, correct or delete it: {}",
            invalid.error
        );
    }

    fn trimmed(&self, mut object: K) -> K {
        (self.trim)(&mut object);
        object
    }

    fn notify(&self, event: CacheEvent<K>) {
        // An error means that there is no subscriber.
        let _ = self.events.send(event);
    }
}

fn name<K: Kind>(invalid: &InvalidObject) -> ObjectRef<K> {
    let metadata = &invalid.metadata;
    ObjectRef::new(metadata.name.as_deref().unwrap_or_default())
        .within(metadata.namespace.as_deref().unwrap_or_default())
}

/// The next event; `None` when a new listing is requested.
async fn next_event<K: Kind>(
    events: &mut (impl Stream<Item = Result<Event<Decoded<K>>, watcher::Error>> + Unpin),
    health: &mut WatchHealth,
    requests: &mut watch::Receiver<u64>,
) -> Option<Event<Decoded<K>>> {
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            Ok(()) = requests.changed() => return None,
            () = sleep(RECOVERY_SILENCE), if health.is_failing() => {
                health.succeeded();
                continue;
            }
        };
        match event {
            Ok(event) => {
                // `Init` precedes the first request.
                if matches!(event, Event::Init) {
                    health.listing();
                } else {
                    health.succeeded();
                }
                return Some(event);
            }
            Err(error) => {
                let delay = health.failed(&error);
                tokio::select! {
                    () = sleep(delay) => {}
                    Ok(()) = requests.changed() => return None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use kube::runtime::reflector;

    use super::*;
    use crate::api::sync::{TaranaSync, TaranaSyncSpec};
    use crate::metrics::KubernetesMetrics;

    fn update() -> (
        WatchUpdate<TaranaSync>,
        broadcast::Receiver<CacheEvent<TaranaSync>>,
    ) {
        let (reader, writer) = reflector::store();
        let (events, subscriber) = broadcast::channel(16);
        let update = WatchUpdate {
            reader,
            writer,
            trim: |_| {},
            index: Arc::new(Index::new(|run: &TaranaSync| vec![run.name_any()])),
            invalid: watch::channel(HashMap::new()).0,
            listed_invalid: HashMap::new(),
            relisted: None,
            events,
            listed: watch::channel(0).0,
            health: WatchHealth::new(
                String::new(),
                None,
                KubernetesMetrics::default(),
                watch::channel(None).0,
            ),
        };
        (update, subscriber)
    }

    /// Lists runs with these names and versions. Returns the events.
    fn list(
        update: &mut WatchUpdate<TaranaSync>,
        subscriber: &mut broadcast::Receiver<CacheEvent<TaranaSync>>,
        runs: &[(&str, &str)],
    ) -> Vec<String> {
        update.apply(Event::Init, 1);
        for (name, version) in runs {
            let mut run = TaranaSync::new(name, TaranaSyncSpec::default());
            run.metadata.uid = Some(version.chars().take(1).collect());
            run.metadata.resource_version = Some((*version).to_owned());
            update.apply(Event::InitApply(Decoded::Valid(run)), 1);
        }
        update.apply(Event::InitDone, 1);
        let mut events = Vec::new();
        while let Ok(event) = subscriber.try_recv() {
            events.push(match event {
                CacheEvent::Applied(run) => format!("applied {}", run.name_any()),
                CacheEvent::Deleted(run) => format!("deleted {}", run.name_any()),
                CacheEvent::Listed => "listed".to_owned(),
            });
        }
        events.sort();
        events
    }

    #[test]
    fn a_later_listing_reports_only_what_has_changed() {
        let (mut update, mut subscriber) = update();
        let mut list = |runs: &[_]| list(&mut update, &mut subscriber, runs);
        // The first character is the uid.
        assert_eq!(list(&[("a", "a1"), ("b", "b2"), ("c", "c3")]), ["listed"]);
        assert_eq!(
            list(&[("a", "a1"), ("b", "b4"), ("d", "d5")]),
            ["applied b", "applied d", "deleted c"]
        );
        // Also an older version: the API server's data may have been restored.
        assert_eq!(list(&[("b", "b2"), ("d", "d5")]), ["applied b", "deleted a"]);
        assert!(list(&[("b", "b2"), ("d", "d5")]).is_empty());
        // Deleted and created again.
        assert_eq!(list(&[("b", "x6"), ("d", "d5")]), ["applied b", "deleted b"]);
        let names: Vec<_> = ["a", "b", "c", "d"]
            .map(|name| update.index.find(name).len())
            .into();
        assert_eq!(names, [0, 1, 0, 1]);
        assert_eq!(update.reader.len(), 2);
    }
}
