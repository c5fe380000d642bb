//! Creates runs. The name of a run is derived from the request, so that a repeated request finds the run of the first.

use std::sync::Arc;

use kube::ResourceExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::auth::Caller;
use super::objects::Objects;
use super::problem::Problem;
use crate::api::connection::TaranaConnection;
use crate::api::sync::{TaranaSync, TaranaSyncSpec, Trigger, TriggerType};

/// Default of `ttlSecondsAfterFinished`: one week. The log row stays.
pub const DEFAULT_TTL_SECONDS: i32 = 7 * 24 * 3600;
/// Maximum length of `spec.trigger.actor` in the schema.
const MAX_ACTOR_BYTES: usize = 253;
/// Retries of [`create_unless_active`]: other replicas create runs, and the operator deletes them, at the same time.
const MAX_TRIES: usize = 16;

/// Result of [`create`].
pub enum Created {
    /// A new run.
    New(Arc<TaranaSync>),
    /// The run that an earlier request with the same idempotency key created.
    Existing(Arc<TaranaSync>),
}

/// Result of [`create_unless_active`].
pub enum CreatedUnlessActive {
    /// A new run.
    Created(Arc<TaranaSync>),
    /// The run that is active on the connection.
    Active(Arc<TaranaSync>),
}

/// The trigger of a run that the caller creates, for its log row.
pub fn trigger(caller: &Caller) -> Trigger {
    let mut actor = caller.name.clone();
    actor.truncate(actor.floor_char_boundary(MAX_ACTOR_BYTES));
    Trigger {
        type_: TriggerType::Api,
        actor: Some(actor),
        admin_user_id: caller.admin_user_id(),
        scheduled_time: None,
    }
}

/// Creates a run. With an idempotency key, the same caller's next request with that key returns the same run as long as its
/// object exists.
pub async fn create(
    objects: &Objects,
    namespace: &str,
    idempotency_key: Option<&str>,
    spec: TaranaSyncSpec,
) -> Result<Created, Problem> {
    let connection = &spec.connection_ref.name;
    if objects.get::<TaranaConnection>(namespace, connection).is_none() {
        return Err(Problem::Unprocessable(format!(
            "connection: there is no TaranaConnection {connection} in namespace {namespace}"
        )));
    }
    let name = match idempotency_key {
        None => format!("api-{}", &Uuid::new_v4().simple().to_string()[..12]),
        Some(key) => {
            let actor = spec.trigger.actor.as_deref().unwrap_or_default();
            format!("api-{}", name_digest(&[namespace, actor, key]))
        }
    };
    if let Some(sync) = objects.create_sync(namespace, &name, spec.clone()).await? {
        return Ok(Created::New(sync));
    }
    match objects.fetch::<TaranaSync>(namespace, &name).await? {
        Some(sync) if objects.is_selected(&sync) && is_same_request(&sync.spec, &spec) => {
            Ok(Created::Existing(Arc::new(sync)))
        }
        Some(_) => Err(Problem::Unprocessable(
            "Idempotency-Key: an earlier request with another body, or one whose run another operator has, \
             used this key: choose a new one"
                .to_owned(),
        )),
        None => Err(Problem::Unavailable(
            "the run of this Idempotency-Key has just been deleted: try again".to_owned(),
        )),
    }
}

/// Creates a run unless one is active on its connection. Two simultaneous requests, also on two replicas, derive the same name
/// from the same newest run, and the API server accepts only one of them.
pub async fn create_unless_active(
    objects: &Objects,
    namespace: &str,
    spec: TaranaSyncSpec,
) -> Result<CreatedUnlessActive, Problem> {
    let connection = spec.connection_ref.name.clone();
    // Uid of a run that the cache may not have, or that was created in the same second as the newest one of the cache.
    let mut newer: Option<String> = None;
    for _ in 0..MAX_TRIES {
        let runs = objects.syncs_of(namespace, &connection);
        if let Some(active) = active_run(&runs) {
            return Ok(CreatedUnlessActive::Active(active));
        }
        let newest = || {
            runs.iter()
                .max_by_key(|sync| sync.creation_order())
                .and_then(|sync| sync.uid())
        };
        let predecessor = newer.take().or_else(newest).unwrap_or_default();
        let name = format!("trigger-{}", name_digest(&[&connection, &predecessor]));
        if let Some(sync) = objects.create_sync(namespace, &name, spec.clone()).await? {
            return Ok(CreatedUnlessActive::Created(sync));
        }
        match objects.fetch::<TaranaSync>(namespace, &name).await? {
            Some(sync) if objects.is_selected(&sync) && !sync.is_final() => {
                return Ok(CreatedUnlessActive::Active(Arc::new(sync)));
            }
            // The run has ended, was deleted, or belongs to another operator: derive the next name from it.
            found => newer = found.and_then(|sync| sync.uid()),
        }
    }
    Err(Problem::Unavailable(
        "other requests create runs on this connection at the same time: try again".to_owned(),
    ))
}

/// The active run: the one that has started, or else the oldest that waits.
pub fn active_run(runs: &[Arc<TaranaSync>]) -> Option<Arc<TaranaSync>> {
    let active = runs.iter().filter(|sync| !sync.is_final());
    active.min_by_key(|sync| sync.queue_position()).cloned()
}

/// Whether two specs come from the same request. `cancel` and the TTL may have been changed since.
fn is_same_request(existing: &TaranaSyncSpec, requested: &TaranaSyncSpec) -> bool {
    let comparable = |spec: &TaranaSyncSpec| TaranaSyncSpec {
        cancel: false,
        ttl_seconds_after_finished: None,
        ..spec.clone()
    };
    comparable(existing) == comparable(requested)
}

/// A digest that fits into an object name. No part contains the separator.
fn name_digest(parts: &[&str]) -> String {
    let hash = Sha256::digest(parts.join("\0"));
    let half = hash.first_chunk().copied().unwrap_or_default();
    Uuid::from_bytes(half).simple().to_string()
}
