//! The databases of the connections, for reading: a small pool for each, on every replica, whoever leads.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;

use super::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::connection::{self, Key};
use crate::store::Store;

/// How long a Secret that was read counts.
const COUNTS: Duration = Duration::from_secs(30);
/// A pool that nobody used for so long is closed.
const UNUSED: Duration = Duration::from_mins(10);

/// The pools.
pub struct Databases {
    client: Client,
    pools: Mutex<HashMap<Key, Pool>>,
}

impl std::fmt::Debug for Databases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Databases").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Pool {
    store: Store,
    generation: Option<i64>,
    /// What it was made of.
    fingerprint: String,
    checked: Instant,
    used: Instant,
}

impl Databases {
    /// Connects to nothing yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            pools: Mutex::default(),
        }
    }

    /// The database of a connection.
    pub async fn of(&self, connection: &TaranaConnection) -> Result<Store, Problem> {
        let key = Key::of(connection);
        let known = self.known(&key);
        if let Some(pool) = known.as_ref().filter(|pool| {
            pool.generation == connection.metadata.generation && pool.checked.elapsed() < COUNTS
        }) {
            return Ok(pool.store.clone());
        }
        let read = connection::database(&self.client, connection).await;
        let (config, fingerprint) = read.map_err(|fault| Problem::of_database(&fault))?;
        let store = match known.filter(|pool| pool.fingerprint == fingerprint) {
            Some(pool) => pool.store,
            None => Store::new(&config).map_err(|fault| Problem::of_database(&fault))?,
        };
        let now = Instant::now();
        let pool = Pool {
            store: store.clone(),
            generation: connection.metadata.generation,
            fingerprint,
            checked: now,
            used: now,
        };
        self.pools().insert(key, pool);
        Ok(store)
    }

    /// What is known of a pool; those that nobody uses are let go of.
    fn known(&self, key: &Key) -> Option<Pool> {
        let mut pools = self.pools();
        pools.retain(|_, pool| pool.used.elapsed() < UNUSED);
        let pool = pools.get_mut(key)?;
        pool.used = Instant::now();
        Some(pool.clone())
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<Key, Pool>> {
        // Nothing in here can panic half-way through a change, so a poisoned lock still guards a sound map.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
