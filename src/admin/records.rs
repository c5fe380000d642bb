//! The records of a run: its attempts, its log row and its changes.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{Caller, Permission};
use super::objects::CachedKind;
use super::problem::Problem;
use super::response::attempt::AttemptList;
use super::response::station::ChangeResponse;
use super::runs;
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
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
    let object = readable_object(state, caller, id).await?;
    let row = match &object {
        // The status has the last attempts, also while the database is unavailable.
        Some(sync) => find_row(state, caller, id, connection_of(sync))
            .await
            .unwrap_or_default(),
        None => find_row(state, caller, id, None).await?,
    };
    if object.is_none() && row.is_none() {
        return Err(Problem::NotFound(
            "there is no sync with this id that you may get".to_owned(),
        ));
    }
    Ok(attempts(object.as_deref(), row.as_ref().map(|(_, row)| row)))
}

/// The attempts of a run, as far as its object and its log row tell.
pub fn attempts(object: Option<&TaranaSync>, row: Option<&LoggedRun>) -> AttemptList {
    let status = object.and_then(|sync| sync.status.as_ref());
    AttemptList::of(row, status).with_pending_wait(object)
}

/// The object of a run, if it exists and the caller may get it.
pub async fn readable_object(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<Option<Arc<TaranaSync>>, Problem> {
    state.objects.require_synced()?;
    let Some(sync) = state.objects.sync_by_id(id).await else {
        return Ok(None);
    };
    let permission = Permission::new("get", TaranaSync::RESOURCE, sync.metadata.namespace.as_deref());
    let is_allowed = state.authorizer.is_allowed(caller, &permission).await?;
    Ok(is_allowed.then_some(sync))
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

/// The log row of a run that the caller may get, if its database can be read. Only the database of its connection (namespace and name) is
/// asked, if that exists.
pub async fn find_row(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
    connection: Option<(&str, &str)>,
) -> Result<Option<(Store, LoggedRun)>, Problem> {
    let own = connection.and_then(|(namespace, name)| state.objects.get::<TaranaConnection>(namespace, name));
    let connections = match own {
        Some(connection) => vec![connection],
        None => runs::readable_connections(state, caller).await?,
    };
    runs::find_log_row(state, id, &connections).await
}

/// Namespace and name of the connection of a run.
fn connection_of(sync: &TaranaSync) -> Option<(&str, &str)> {
    let namespace = sync.metadata.namespace.as_deref()?;
    Some((namespace, &sync.spec.connection_ref.name))
}
