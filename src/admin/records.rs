//! The records of a run: its attempts, its log row and its changes.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::Caller;
use super::problem::Problem;
use super::response::attempt::AttemptList;
use super::response::station::ChangeResponse;
use super::runs;
use super::state::AdminState;
use crate::api::sync::TaranaSync;
use crate::store::{LoggedRun, Store};

/// Changes of stations by a run, applied or only planned, in the order of the run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Changes)]
pub struct ChangePage {
    /// The changes.
    pub items: Vec<ChangeResponse>,
    /// `after` of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i32>,
}

/// The changes of a run after number `after`, at most `limit`.
pub async fn list_changes(store: &Store, run: Uuid, after: i32, limit: i64) -> Result<ChangePage, Problem> {
    let mut changes = store
        .changes(run, after, limit + 1)
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    let has_more = i64::try_from(changes.len()).is_ok_and(|n| n > limit);
    changes.truncate(usize::try_from(limit).unwrap_or_default());
    let items: Vec<ChangeResponse> = changes.into_iter().map(ChangeResponse::from).collect();
    Ok(ChangePage {
        next: items.last().filter(|_| has_more).map(|change| change.seq),
        items,
    })
}

/// The attempts of a run. Requires `get` on the run.
pub async fn list_attempts(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<AttemptList, Problem> {
    let readable = runs::readable_run(state, caller, id).await?;
    let object = readable.object.clone();
    let row = match readable.row(state, caller).await {
        // The status has the last attempts, also while the database is unavailable.
        Err(_) if object.is_some() => None,
        row => row?.map(|(_, row)| row),
    };
    Ok(attempts(object.as_deref(), row.as_ref()))
}

/// The attempts of a run, as far as its object and its log row tell.
pub fn attempts(object: Option<&TaranaSync>, row: Option<&LoggedRun>) -> AttemptList {
    let status = object.and_then(|sync| sync.status.as_ref());
    AttemptList::of(row, status).with_pending_wait(object)
}

/// The log row of a run that the caller may get.
pub async fn readable_row(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<(Store, LoggedRun), Problem> {
    state.objects.require_synced()?;
    let connections = runs::readable_connections(state, caller).await?;
    let row = runs::find_log_row(state, id, &connections).await?;
    row.ok_or_else(|| {
        Problem::NotFound("there is no log row of a sync with this id that you may get".to_owned())
    })
}
