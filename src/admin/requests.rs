//! What callers request of runs: creation and cancellation, after authorization, with an Event.

use std::sync::Arc;

use kube::Resource;
use serde_json::json;
use uuid::Uuid;

use super::actions::chosen_options;
use super::auth::{Caller, Permission};
use super::create::{self, Created, CreatedUnlessActive, DEFAULT_TTL_SECONDS};
use super::objects::CachedKind;
use super::problem::Problem;
use super::response::sync::SyncResponse;
use super::runs::{self, ReadableRun};
use super::state::AdminState;
use crate::api::sync::{ConnectionRef, TaranaSync, TaranaSyncSpec};
use crate::fault::Reason;

/// What the caller requests with a new run, for its Event.
#[derive(Clone, Copy)]
pub struct RunRequest<'a> {
    /// Namespace of the run.
    pub namespace: &'a str,
    /// Reason of the Event.
    pub reason: Reason,
    /// What the caller did, for example `created this run`.
    pub what: &'a str,
}

/// Options of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Only plan, and change nothing.
    pub dry_run: bool,
    /// Delete stale rows.
    pub delete_stale: bool,
}

impl RunOptions {
    /// Whether the run would delete rows.
    pub fn deletes(self) -> bool {
        self.delete_stale && !self.dry_run
    }
}

/// Result of [`cancel_run`].
pub enum Cancellation {
    /// Cancellation is requested.
    Requested(SyncResponse),
    /// The run had already ended.
    Ended(SyncResponse),
}

/// Rejects a caller who may not create runs of this connection (namespace and name), or may not approve deletions.
pub async fn authorize_creation(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, connection): (&str, &str),
    approves: bool,
) -> Result<(), Problem> {
    let verbs: &[&str] = if approves {
        &["create", "approve"]
    } else {
        &["create"]
    };
    for verb in verbs {
        let permission = Permission::new(verb, TaranaSync::RESOURCE, Some(namespace));
        let reference = || state.connection_reference(namespace, connection);
        state.authorize(caller, &permission, reference).await?;
    }
    Ok(())
}

/// Creates a run, or finds the one that an earlier request with the same idempotency key created. An invalid key is reported to
/// authorized callers only.
pub async fn create_run(
    state: &AdminState,
    caller: &Arc<Caller>,
    request: RunRequest<'_>,
    idempotency_key: Result<Option<&str>, Problem>,
    spec: TaranaSyncSpec,
) -> Result<Created, Problem> {
    let connection = (request.namespace, spec.connection_ref.name.as_str());
    authorize_creation(state, caller, connection, spec.approved_deletes.is_some()).await?;
    state.rate_limiter.check(&caller.name)?;
    state.objects.require_synced()?;
    let created = create::create(&state.objects, request.namespace, idempotency_key?, spec).await?;
    if let Created::New(sync) = &created {
        state.actions.done(caller, request.reason, request.what, &**sync);
    }
    Ok(created)
}

/// Creates a run of this connection (namespace and name) with these options, unless one is pending or running.
pub async fn create_run_unless_active(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, connection): (&str, &str),
    options: RunOptions,
) -> Result<CreatedUnlessActive, Problem> {
    authorize_creation(state, caller, (namespace, connection), false).await?;
    state.rate_limiter.check(&caller.name)?;
    state.objects.require_synced()?;
    let spec = TaranaSyncSpec {
        connection_ref: ConnectionRef {
            name: connection.to_owned(),
        },
        dry_run: options.dry_run,
        delete_stale: options.delete_stale,
        ttl_seconds_after_finished: Some(DEFAULT_TTL_SECONDS),
        trigger: create::trigger(caller),
        ..TaranaSyncSpec::default()
    };
    let created = create::create_unless_active(&state.objects, namespace, spec).await?;
    if let CreatedUnlessActive::Created(sync) = &created {
        let options = chosen_options(options.dry_run, options.delete_stale);
        let what = format!("created this run{options}");
        state.actions.done(caller, Reason::SyncRequested, &what, &**sync);
    }
    Ok(created)
}

/// Requests the cancellation of a run.
pub async fn cancel_run(state: &AdminState, caller: &Arc<Caller>, id: Uuid) -> Result<Cancellation, Problem> {
    let ReadableRun {
        run, object: sync, ..
    } = runs::readable_run(state, caller, id).await?;
    let permission = Permission::new("patch", TaranaSync::RESOURCE, run.namespace.as_deref());
    let reference = || Some(sync.as_ref()?.object_ref(&()));
    state.authorize(caller, &permission, reference).await?;
    let Some(sync) = sync.filter(|sync| !sync.is_final()) else {
        if run.is_final() {
            return Ok(Cancellation::Ended(run));
        }
        return Err(Problem::Conflict(format!(
            "the object of the run is deleted{}, so that it cannot be cancelled here",
            state.objects.hint()
        )));
    };
    let patch = json!({"spec": {"cancel": true}});
    let sync = state.objects.patch(&*sync, patch).await?;
    let what = "requested the cancellation";
    state.actions.done(caller, Reason::CancelRequested, what, &sync);
    Ok(Cancellation::Requested(SyncResponse::from(&sync)))
}
