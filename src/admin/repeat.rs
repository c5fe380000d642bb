//! Creates runs like an earlier one: reruns, and runs with the approval of deletions that the earlier one withheld.

use std::sync::Arc;

use uuid::Uuid;

use super::auth::Caller;
use super::create::{self, Created, DEFAULT_TTL_SECONDS};
use super::problem::Problem;
use super::requests::{self, RunRequest};
use super::response::sync::SyncResponse;
use super::runs::{self, ReadableRun};
use super::state::AdminState;
use crate::api::sync::TaranaSyncSpec;
use crate::fault::Reason;

/// Creates a run with the spec of another one, without its approval.
pub async fn rerun(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
    idempotency_key: Result<Option<&str>, Problem>,
) -> Result<Created, Problem> {
    let (original, namespace, spec) = repeated(state, caller, id).await?;
    let what = format!("created this run like {}", original.describe());
    let request = RunRequest {
        namespace: &namespace,
        reason: Reason::SyncRequested,
        what: &what,
    };
    requests::create_run(state, caller, request, idempotency_key, spec).await
}

/// Approves the deletions that a run withheld: creates a run that deletes up to as many stale rows, regardless of the delete guard. Without
/// an idempotency key, a second approval of the same run by the same caller returns the run of the first.
pub async fn approve(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
    idempotency_key: Result<Option<&str>, Problem>,
) -> Result<Created, Problem> {
    let (original, namespace, spec) = repeated(state, caller, id).await?;
    // Before the state of the run is revealed.
    requests::authorize_creation(state, caller, (&namespace, &spec.connection_ref.name), true).await?;
    if !original.is_final() {
        return Err(Problem::Conflict(
            "the run has not ended: wait for its end, or cancel it".to_owned(),
        ));
    }
    let withheld = i32::try_from(original.withheld()).unwrap_or(i32::MAX);
    if withheld == 0 {
        return Err(Problem::Conflict(
            "the run withheld no deletions: there is nothing to approve".to_owned(),
        ));
    }
    if original.has_unproven_listing() {
        return Err(Problem::Conflict(
            "the listing could not be proven complete, so an approval has no effect: see the run's condition DeletesWithheld".to_owned(),
        ));
    }
    let spec = TaranaSyncSpec {
        dry_run: false,
        delete_stale: true,
        approved_deletes: Some(withheld),
        ..spec
    };
    let what = format!(
        "approved {withheld} deletions that {} withheld",
        original.describe()
    );
    let request = RunRequest {
        namespace: &namespace,
        reason: Reason::DeletesApproved,
        what: &what,
    };
    let default_key = format!("approve-{id}");
    let key = idempotency_key.map(|key| key.or(Some(&default_key)));
    requests::create_run(state, caller, request, key, spec).await
}

/// A run, and namespace and spec of a run like it, without its approval. Requires `get` on the run.
async fn repeated(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<(SyncResponse, String, TaranaSyncSpec), Problem> {
    let ReadableRun {
        run: original,
        object,
        ..
    } = runs::readable_run(state, caller, id).await?;
    let namespace = original.namespace.clone();
    let spec = match object {
        Some(sync) => TaranaSyncSpec {
            approved_deletes: None,
            cancel: false,
            ..sync.spec.clone()
        },
        None => original.to_spec(&state.defaults.connection),
    };
    let spec = TaranaSyncSpec {
        ttl_seconds_after_finished: Some(DEFAULT_TTL_SECONDS),
        trigger: create::trigger(caller),
        ..spec
    };
    let namespace = namespace.unwrap_or_else(|| state.defaults.namespace.clone());
    Ok((original, namespace, spec))
}
