//! Creates runs: under a name that makes a repeated request find the run of the first one.

use std::sync::Arc;

use kube::ResourceExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Admin;
use super::objects::Objects;
use super::problem::Problem;
use super::who::Caller;
use crate::api::connection::TaranaConnection;
use crate::api::sync::{TaranaSync, TaranaSyncSpec, Trigger, TriggerType};

/// Seconds after its end at which the object of a run goes, unless it is said: a week. Its row stays.
pub const TIME_TO_LIVE: i32 = 7 * 24 * 3600;
/// The schema takes no longer actor.
const LONGEST_ACTOR: usize = 253;
/// Another replica may create, and the operator may delete, in between; several may be of the same second.
const TRIES: usize = 16;

/// What came of asking for a run.
pub enum Started {
    /// It is new.
    New(Arc<TaranaSync>),
    /// The same request created it before.
    Known(Arc<TaranaSync>),
}

/// What came of asking for a run where none may be under way.
pub enum Only {
    /// It is new.
    Started(Arc<TaranaSync>),
    /// This one is under way.
    Busy(Arc<TaranaSync>),
}

/// Who asked, for the audit row.
pub fn trigger(caller: &Caller) -> Trigger {
    let mut actor = caller.name.clone();
    actor.truncate(actor.floor_char_boundary(LONGEST_ACTOR));
    Trigger {
        type_: TriggerType::Api,
        actor: Some(actor),
        admin_user_id: None,
        scheduled_time: None,
    }
}

/// Creates a run. With a key, the same caller's next request with it is answered with the same run for as long as its object
/// exists.
pub async fn start(
    app: &Admin,
    namespace: &str,
    key: Option<&str>,
    spec: TaranaSyncSpec,
) -> Result<Started, Problem> {
    let connection = &spec.connection_ref.name;
    if app
        .objects
        .get::<TaranaConnection>(namespace, connection)
        .is_none()
    {
        return Err(Problem::Invalid(format!(
            "connection: there is no TaranaConnection {connection} in namespace {namespace}"
        )));
    }
    let name = match key {
        None => format!("api-{}", &Uuid::new_v4().simple().to_string()[..12]),
        Some(key) => {
            let actor = spec.trigger.actor.as_deref().unwrap_or_default();
            format!("api-{}", digest(&[namespace, actor, key]))
        }
    };
    if let Some(new) = app.objects.create(namespace, &name, spec.clone()).await? {
        return Ok(Started::New(new));
    }
    match app.objects.fresh::<TaranaSync>(namespace, &name).await? {
        Some(known) if asks_the_same(&known.spec, &spec) => Ok(Started::Known(Arc::new(known))),
        Some(_) => Err(Problem::Invalid(
            "Idempotency-Key: it belongs to another request, with another body: choose a new one".to_owned(),
        )),
        None => Err(Problem::Unavailable(
            "the run of this Idempotency-Key has just been deleted: try again".to_owned(),
        )),
    }
}

/// Creates a run unless one is under way on its connection. Of two requests at the same moment, here or on two replicas, both
/// look at the same newest run, and so come to the same name, which the API server gives to one of them.
pub async fn start_only(objects: &Objects, namespace: &str, spec: TaranaSyncSpec) -> Result<Only, Problem> {
    let connection = spec.connection_ref.name.clone();
    // One that is newer than those of the cache, or as new: Kubernetes' times are whole seconds.
    let mut newer: Option<String> = None;
    for _ in 0..TRIES {
        let runs = objects.all::<TaranaSync>(Some(namespace), |sync| {
            sync.spec.connection_ref.name == connection
        });
        if let Some(busy) = under_way(&runs) {
            return Ok(Only::Busy(busy));
        }
        let newest = || {
            runs.iter()
                .max_by_key(|sync| place(sync))
                .and_then(|sync| sync.uid())
        };
        let after = newer.take().or_else(newest).unwrap_or_default();
        let name = format!("trigger-{}", digest(&[&connection, &after]));
        if let Some(new) = objects.create(namespace, &name, spec.clone()).await? {
            return Ok(Only::Started(new));
        }
        match objects.fresh::<TaranaSync>(namespace, &name).await? {
            Some(sync) if !has_ended(&sync) => return Ok(Only::Busy(Arc::new(sync))),
            // It has ended already, or is gone again: the next comes after it.
            found => newer = found.and_then(|sync| sync.uid()),
        }
    }
    Err(Problem::Unavailable(
        "runs come and go on this connection: try again".to_owned(),
    ))
}

/// The run that is under way: the one that has begun, else the oldest that waits.
pub fn under_way(runs: &[Arc<TaranaSync>]) -> Option<Arc<TaranaSync>> {
    let begun = |sync: &TaranaSync| sync.status.as_ref().is_some_and(|s| s.start_time.is_some());
    let open = runs.iter().filter(|sync| !has_ended(sync));
    open.min_by_key(|sync| (!begun(sync), place(sync))).cloned()
}

fn has_ended(sync: &TaranaSync) -> bool {
    sync.status.as_ref().is_some_and(|s| s.phase.is_final())
}

fn place(sync: &TaranaSync) -> (Option<jiff::Timestamp>, Option<String>) {
    (sync.metadata.creation_timestamp.as_ref().map(|t| t.0), sync.uid())
}

/// Whether two requests ask for the same. `cancel` and the time to live may have changed since.
fn asks_the_same(known: &TaranaSyncSpec, asked: &TaranaSyncSpec) -> bool {
    let comparable = |spec: &TaranaSyncSpec| TaranaSyncSpec {
        cancel: false,
        ttl_seconds_after_finished: None,
        ..spec.clone()
    };
    comparable(known) == comparable(asked)
}

/// Short enough for a name, long enough never to meet another. What separates the parts is in none of them.
fn digest(parts: &[&str]) -> String {
    let hash = Sha256::digest(parts.join("\0"));
    let half = hash.first_chunk().copied().unwrap_or_default();
    Uuid::from_bytes(half).simple().to_string()
}
