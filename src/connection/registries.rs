//! The registries of the controllers that run in this process, for whoever inspects it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::clients::ConnectionClients;
use super::key::Key;
use super::overlap::{Overlap, Source};
use super::registry::{ConnectionEntry, Connections};

/// The registries of all scopes. They go with their controllers: there is none while the process does not lead. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Registries(Arc<Mutex<Vec<Weak<Connections>>>>);

impl Registries {
    /// Adds the registry of a scope whose controllers start.
    pub fn add(&self, registry: &Arc<Connections>) {
        let mut registries = self.lock();
        registries.retain(|registry| registry.strong_count() > 0);
        registries.push(Arc::downgrade(registry));
    }

    /// The clients of all connections, by key.
    pub fn all_clients(&self) -> Vec<(Key, Arc<ConnectionClients>)> {
        let registries = self.lock();
        let registries = registries.iter().filter_map(Weak::upgrade);
        let mut clients: Vec<_> = registries.flat_map(|registry| registry.all_clients()).collect();
        clients.sort_by(|(a, _), (b, _)| a.cmp(b));
        clients
    }

    /// The other connections of this process that write the same regions of the same table from other data. `None` if there is none among those
    /// that are known, but not all are known yet.
    pub(super) fn overlaps(&self, key: &Key, entry: &ConnectionEntry) -> Option<Vec<Overlap>> {
        let (clients, verified) = (entry.clients.as_ref()?, entry.verified.as_ref()?);
        let source = Source {
            url: &clients.spec.api.url,
            verified,
        };
        let registries: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let overlaps = registries
            .iter()
            .flat_map(|registry| registry.overlaps(key, &clients.store, source));
        let mut overlaps: Vec<_> = overlaps.collect();
        overlaps.sort_by(|a, b| a.other.cmp(&b.other));
        let is_certain = !overlaps.is_empty() || registries.iter().all(|registry| registry.knows_all());
        is_certain.then_some(overlaps)
    }

    /// Reconciles the other connections that write the tables of this one, because what it writes has changed.
    pub(super) fn reconcile_others(&self, key: &Key, entry: &ConnectionEntry) {
        let Some(clients) = &entry.clients else {
            return;
        };
        let registries: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for registry in registries {
            registry.reconcile_others(key, &clients.store);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Connections>>> {
        // No code panics while it holds the lock, so the value behind a poisoned lock is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
