//! Stores for reading, one per connection, on every replica whether it leads or not. Their sessions are those of the whole process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;

use super::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::connection::{self, Key};
use crate::store::{SessionPools, Store};

/// How long a pool is used before its Secret is read again.
const SECRET_TTL: Duration = Duration::from_secs(30);
/// An unused pool is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// The pools by connection.
pub struct StorePools {
    client: Client,
    sessions: SessionPools,
    pools: Mutex<HashMap<Key, Pool>>,
}

impl std::fmt::Debug for StorePools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorePools").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Pool {
    store: Store,
    generation: Option<i64>,
    /// Fingerprint of the configuration that the pool was created from.
    fingerprint: String,
    checked_at: Instant,
    used_at: Instant,
}

impl StorePools {
    /// No pools.
    pub fn new(client: Client, sessions: SessionPools) -> Self {
        Self {
            client,
            sessions,
            pools: Mutex::default(),
        }
    }

    /// The store of a connection. Its pool is replaced if the connection or its Secret changed.
    pub async fn store(&self, connection: &TaranaConnection) -> Result<Store, Problem> {
        let key = Key::of(connection);
        let cached = self.cached(&key);
        if let Some(pool) = cached.as_ref().filter(|pool| {
            pool.generation == connection.metadata.generation && pool.checked_at.elapsed() < SECRET_TTL
        }) {
            return Ok(pool.store.clone());
        }
        let read = connection::database_config(&self.client, connection).await;
        let (config, fingerprint) = read.map_err(|fault| Problem::from_database(&fault))?;
        let store = match cached.filter(|pool| pool.fingerprint == fingerprint) {
            Some(pool) => pool.store,
            None => Store::shared(&config, &self.sessions).map_err(|fault| Problem::from_database(&fault))?,
        };
        let now = Instant::now();
        let pool = Pool {
            store: store.clone(),
            generation: connection.metadata.generation,
            fingerprint,
            checked_at: now,
            used_at: now,
        };
        self.lock().insert(key, pool);
        Ok(store)
    }

    /// The stores whose pools are open, by connection.
    pub fn all(&self) -> Vec<(Key, Store)> {
        let pools = self.lock();
        let mut stores: Vec<_> = pools
            .iter()
            .map(|(key, pool)| (key.clone(), pool.store.clone()))
            .collect();
        stores.sort_by(|(a, _), (b, _)| a.cmp(b));
        stores
    }

    /// The cached pool of a connection. Drops pools that are no longer used.
    fn cached(&self, key: &Key) -> Option<Pool> {
        let mut pools = self.lock();
        pools.retain(|_, pool| pool.used_at.elapsed() < IDLE_TIMEOUT);
        let pool = pools.get_mut(key)?;
        pool.used_at = Instant::now();
        Some(pool.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Pool>> {
        // No code panics in the middle of a change, so the map behind a poisoned lock is valid.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
