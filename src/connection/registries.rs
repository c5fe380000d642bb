//! The registries of the controllers that run in this process, for whoever inspects it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::clients::ConnectionClients;
use super::key::Key;
use super::registry::Connections;

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

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Connections>>> {
        // No code panics while it holds the lock, so the value behind a poisoned lock is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
