//! The sinks of connections, built from their specs and Secrets.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::Client;
use kube::runtime::reflector::{ObjectRef, Store as Reader};

use crate::api::connection::TaranaConnection;
use crate::cluster::SecretMeta;
use crate::connection::{Key, sink_config, sink_secrets};
use crate::fault::Fault;
use crate::webhook::{AddressPolicy, Sink};

/// Builds a sink when its connection or a Secret has changed, and keeps it until then.
pub(super) struct Sinks {
    client: Client,
    secrets: Reader<SecretMeta>,
    policy: AddressPolicy,
    /// Each with the versions that it was built from.
    known: Mutex<HashMap<Key, (String, Sink)>>,
}

impl Sinks {
    pub fn new(client: Client, secrets: Reader<SecretMeta>, policy: AddressPolicy) -> Self {
        Self {
            client,
            secrets,
            policy,
            known: Mutex::default(),
        }
    }

    /// The sink of a connection; `None` if it has none.
    ///
    /// # Errors
    /// A Secret is missing or a value is invalid.
    pub async fn get(&self, connection: &TaranaConnection) -> Result<Option<Sink>, Fault> {
        let (key, versions) = (Key::of(connection), self.versions(connection));
        let known = self
            .lock()
            .get(&key)
            .filter(|(built_from, _)| *built_from == versions)
            .cloned();
        if let Some((_, sink)) = known {
            return Ok(Some(sink));
        }
        let Some(config) = sink_config(&self.client, connection).await? else {
            self.lock().remove(&key);
            return Ok(None);
        };
        let sink = Sink::new(&config, &self.policy)?;
        self.lock().insert(key, (versions, sink.clone()));
        Ok(Some(sink))
    }

    /// Forgets the sinks of deleted connections.
    pub fn retain(&self, exists: impl Fn(&Key) -> bool) {
        self.lock().retain(|key, _| exists(key));
    }

    fn versions(&self, connection: &TaranaConnection) -> String {
        let metadata = &connection.metadata;
        let mut versions = format!("{:?} {:?}", metadata.uid, metadata.generation);
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        for name in sink_secrets(connection) {
            let secret = self.secrets.get(&ObjectRef::new(name).within(namespace));
            let version = secret.and_then(|secret| secret.metadata.resource_version.clone());
            let _ = write!(versions, " {version:?}");
        }
        versions
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (String, Sink)>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent one.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
