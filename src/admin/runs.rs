//! Reads runs from both sources: the objects, and the log rows of runs whose objects are deleted.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::cursor::{self, Cursor};
use super::objects::object_id;
use super::problem::Problem;
use super::response::sync::{SyncPhase, SyncResponse};
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::connection::Key;
use crate::store::{LoggedRun, RunQuery, Store};

/// Selects runs.
#[derive(Clone, Debug)]
pub struct RunFilter {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Name of the connection; `None` for all.
    pub connection: Option<String>,
    /// Phases; empty for all.
    pub phases: Vec<SyncPhase>,
    /// Only runs that are older than this position.
    pub before: Option<Cursor>,
    /// Maximum number of runs.
    pub limit: usize,
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
#[serde(rename_all = "camelCase")]
pub struct SyncPage {
    /// The runs.
    items: Vec<SyncResponse>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Connections whose older runs are missing here, because their database is unavailable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

/// The page of runs that a filter selects.
pub async fn list_runs(state: &AdminState, filter: &RunFilter) -> Result<SyncPage, Problem> {
    let objects = runs_from_objects(state, filter);
    // Rows that are older than this object belong to a later page.
    let oldest = objects.get(filter.limit).map(|sync| sync.created_at);
    let (mut items, mut unread) = (objects, Vec::new());
    for connection in connections(state, filter) {
        match runs_from_rows(state, &connection, filter, oldest).await {
            Ok(rows) => items.extend(rows),
            Err(problem) if filter.connection.is_some() && filter.namespace.is_some() => return Err(problem),
            Err(_) => unread.push(Key::of(&connection).to_string()),
        }
    }
    items.sort_by_key(|sync| std::cmp::Reverse((sync.created_at, sync.id)));
    // Two connections may share a table.
    items.dedup_by_key(|sync| sync.id);
    let has_more = items.len() > filter.limit;
    items.truncate(filter.limit);
    let last = items.last().filter(|_| has_more);
    Ok(SyncPage {
        next_cursor: last.map(|sync| cursor::encode((sync.created_at, sync.id))),
        items,
        unread,
    })
}

/// One run, from its object or else from its log row in the databases of `connections`.
pub async fn find_run(
    state: &AdminState,
    id: Uuid,
    connections: &[Arc<TaranaConnection>],
) -> Result<Option<SyncResponse>, Problem> {
    if let Some(sync) = state.objects.sync_by_id(id).await {
        return Ok(Some(SyncResponse::from(&*sync)));
    }
    let found = find_log_row(state, id, connections).await?;
    Ok(found.map(|(_, row)| SyncResponse::from(row)))
}

/// The log row of a run, and the store that holds it.
pub async fn find_log_row(
    state: &AdminState,
    id: Uuid,
    connections: &[Arc<TaranaConnection>],
) -> Result<Option<(Store, LoggedRun)>, Problem> {
    let mut unavailable = None;
    for connection in connections {
        let key = Key::of(connection);
        let found = async {
            let store = state.pools.store(connection).await?;
            let row = store
                .logged_run(id)
                .await
                .map_err(|fault| Problem::from_database(&fault))?;
            Ok(row.map(|row| (store, row)))
        };
        match found.await {
            Ok(Some((store, row))) if row.namespace.as_ref().is_none_or(|ns| *ns == key.namespace) => {
                return Ok(Some((store, row)));
            }
            Ok(_) => {}
            Err(problem) => unavailable = Some(problem),
        }
    }
    // The row may be in the database that is unavailable.
    unavailable.map_or(Ok(None), Err)
}

/// The newest objects that the filter selects, one more than its limit.
fn runs_from_objects(state: &AdminState, filter: &RunFilter) -> Vec<SyncResponse> {
    let created = |sync: &TaranaSync| {
        sync.metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |t| t.0)
    };
    let is_selected = |sync: &TaranaSync| {
        let phase = sync.status.as_ref().map(|s| s.phase).unwrap_or_default();
        filter
            .connection
            .as_ref()
            .is_none_or(|name| *name == sync.spec.connection_ref.name)
            && (filter.phases.is_empty() || filter.phases.contains(&SyncPhase::from(phase)))
            && filter
                .before
                .is_none_or(|before| (created(sync), object_id(sync)) < before)
    };
    let mut objects = state.objects.list(filter.namespace.as_deref(), is_selected);
    objects.sort_by_cached_key(|sync| std::cmp::Reverse((created(sync), object_id(sync.as_ref()))));
    objects.truncate(filter.limit + 1);
    objects.iter().map(|sync| SyncResponse::from(&**sync)).collect()
}

fn connections(state: &AdminState, filter: &RunFilter) -> Vec<Arc<TaranaConnection>> {
    let is_selected = |connection: &TaranaConnection| {
        filter
            .connection
            .as_ref()
            .is_none_or(|name| connection.metadata.name.as_ref() == Some(name))
    };
    state.objects.list(filter.namespace.as_deref(), is_selected)
}

/// The newest rows whose objects are deleted, until the limit is exceeded or the rows are older than `oldest`.
async fn runs_from_rows(
    state: &AdminState,
    connection: &TaranaConnection,
    filter: &RunFilter,
    oldest: Option<Timestamp>,
) -> Result<Vec<SyncResponse>, Problem> {
    let store = state.pools.store(connection).await?;
    let key = Key::of(connection);
    let live: HashSet<Uuid> = {
        let objects = state
            .objects
            .list::<TaranaSync>(filter.namespace.as_deref(), |_| true);
        objects.iter().map(|sync| object_id(sync.as_ref())).collect()
    };
    let states: Vec<&str> = filter.phases.iter().map(|phase| phase.row_status()).collect();
    let limit = i64::try_from(filter.limit + 1).unwrap_or(i64::MAX);
    let (mut found, mut before) = (Vec::new(), filter.before);
    loop {
        let query = RunQuery {
            namespace: &key.namespace,
            connection: &key.name,
            states: &states,
            before,
            limit,
        };
        let rows = store
            .logged_runs(&query)
            .await
            .map_err(|fault| Problem::from_database(&fault))?;
        before = rows.last().map(|row| (row.created_at, row.id));
        let is_last_page = rows.len() < filter.limit + 1
            || oldest.is_some_and(|oldest| before.is_some_and(|b| b.0 < oldest));
        found.extend(
            rows.into_iter()
                .filter(|row| !live.contains(&row.id))
                .map(SyncResponse::from),
        );
        if is_last_page || found.len() > filter.limit {
            return Ok(found);
        }
    }
}
