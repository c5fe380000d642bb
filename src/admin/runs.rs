//! Reads runs from both sources: the objects, and the log rows of runs whose objects are deleted.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{Caller, Permission};
use super::cursor::{self, Cursor};
use super::objects::{CachedKind, object_id};
use super::problem::Problem;
use super::response::sync::{SyncPhase, SyncResponse, SyncTrigger, schedule_name};
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::connection::Key;
use crate::store::{LoggedRun, RunOrder, RunQuery, Store};

/// Selects runs.
#[derive(Clone, Debug)]
pub struct RunFilter {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Name of the connection; `None` for all.
    pub connection: Option<String>,
    /// Phases; empty for all.
    pub phases: Vec<SyncPhase>,
    /// Name of the schedule; `None` for all.
    pub schedule: Option<String>,
    /// Types of the trigger.
    pub triggers: Vec<SyncTrigger>,
    /// Only runs that have ended at this time or later.
    pub ended_from: Option<Timestamp>,
    /// Only runs that have ended before this time.
    pub ended_before: Option<Timestamp>,
    /// Order of the list.
    pub order: RunOrder,
    /// Only runs after this position in that order.
    pub after: Option<Cursor>,
    /// Maximum number of runs.
    pub limit: usize,
}

impl RunFilter {
    /// The newest runs of a connection (namespace and name), whatever they are.
    pub fn newest_of((namespace, connection): (&str, &str), limit: usize) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            connection: Some(connection.to_owned()),
            phases: Vec::new(),
            schedule: None,
            triggers: SyncTrigger::ALL.to_vec(),
            ended_from: None,
            ended_before: None,
            order: RunOrder::Newest,
            after: None,
            limit,
        }
    }

    /// Name of the list that the filter's order produces, for its cursors.
    pub fn list_name(order: RunOrder) -> &'static str {
        match order {
            RunOrder::Newest => "syncs",
            RunOrder::Longest => "syncs by duration",
        }
    }

    /// Whether it selects an object, apart from its namespace.
    fn selects(&self, sync: &TaranaSync) -> bool {
        let status = sync.status.as_ref();
        let phase = status.map(|s| s.phase).unwrap_or_default();
        let ended = status.and_then(|s| s.completion_time.as_ref()).map(|time| time.0);
        let is_equal =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        is_equal(&self.connection, &sync.spec.connection_ref.name)
            && (self.phases.is_empty() || self.phases.contains(&phase.into()))
            && self.triggers.contains(&sync.spec.trigger.type_.into())
            && (self.schedule.is_none() || self.schedule == schedule_name(sync))
            && self
                .ended_from
                .is_none_or(|from| ended.is_some_and(|ended| ended >= from))
            && self
                .ended_before
                .is_none_or(|before| ended.is_some_and(|ended| ended < before))
            && self
                .position(sync)
                .is_some_and(|position| self.after.is_none_or(|after| position < after))
    }

    /// Position of an object in the list; `None` if the list does not contain it.
    fn position(&self, sync: &TaranaSync) -> Option<Cursor> {
        let created = || {
            sync.metadata
                .creation_timestamp
                .as_ref()
                .map_or(0, |time| time.0.as_microsecond())
        };
        let value = match self.order {
            RunOrder::Newest => created(),
            RunOrder::Longest => sync.status.as_ref()?.duration_ms?,
        };
        Some((value, object_id(sync)))
    }

    /// Position of a run in the list.
    pub fn position_of(&self, run: &SyncResponse) -> Cursor {
        let value = match self.order {
            RunOrder::Newest => run.created_at.as_microsecond(),
            RunOrder::Longest => run.duration_ms.unwrap_or_default(),
        };
        (value, run.id)
    }
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
#[serde(rename_all = "camelCase")]
pub struct SyncPage {
    /// The runs.
    pub items: Vec<SyncResponse>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Connections whose older runs are missing here, because their database is unavailable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

/// The page of runs that a filter selects.
pub async fn list_runs(state: &AdminState, filter: &RunFilter) -> Result<SyncPage, Problem> {
    let objects = runs_from_objects(state, filter);
    // Rows after this object belong to a later page.
    let last = objects.get(filter.limit).map(|run| filter.position_of(run));
    let (mut items, mut unread) = (objects, Vec::new());
    for connection in connections(state, filter) {
        match runs_from_rows(state, &connection, filter, last).await {
            Ok(rows) => items.extend(rows),
            Err(problem) if filter.connection.is_some() && filter.namespace.is_some() => return Err(problem),
            Err(_) => unread.push(Key::of(&connection).to_string()),
        }
    }
    items.sort_by_key(|run| std::cmp::Reverse(filter.position_of(run)));
    // Two connections may share a table.
    let mut ids = HashSet::new();
    items.retain(|sync| ids.insert(sync.id));
    let has_more = items.len() > filter.limit;
    items.truncate(filter.limit);
    let last = items.last().filter(|_| has_more);
    Ok(SyncPage {
        next_cursor: last
            .map(|run| cursor::encode(RunFilter::list_name(filter.order), filter.position_of(run))),
        items,
        unread,
    })
}

/// A run that a caller may get.
pub struct ReadableRun {
    /// The run, from its object or else from its log row.
    pub run: SyncResponse,
    /// Its object, as long as it exists.
    pub object: Option<Arc<TaranaSync>>,
    /// Its log row and the store that holds it; only of a run without an object.
    row: Option<(Store, LoggedRun)>,
}

impl ReadableRun {
    /// The log row and the store that holds it, if there is a row and its database can be read. Only the database of the run's connection
    /// is asked, if that exists.
    pub async fn row(
        self,
        state: &AdminState,
        caller: &Arc<Caller>,
    ) -> Result<Option<(Store, LoggedRun)>, Problem> {
        if self.row.is_some() {
            return Ok(self.row);
        }
        let key = self.run.namespace.as_deref().zip(self.run.connection.as_deref());
        let own = key.and_then(|(namespace, name)| state.objects.get::<TaranaConnection>(namespace, name));
        let connections = match own {
            Some(connection) => vec![connection],
            None => readable_connections(state, caller).await?,
        };
        find_log_row(state, self.run.id, &connections).await
    }
}

/// The run, if the caller may get it. A missing permission looks like a missing run.
pub async fn readable_run(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<ReadableRun, Problem> {
    state.objects.require_synced()?;
    let not_found = || Problem::NotFound("there is no sync with this id that you may get".to_owned());
    let readable = if let Some(object) = state.objects.sync_by_id(id).await {
        ReadableRun {
            run: SyncResponse::from(&*object),
            object: Some(object),
            row: None,
        }
    } else {
        let connections = readable_connections(state, caller).await?;
        let found = find_log_row(state, id, &connections).await?;
        let (store, row) = found.ok_or_else(not_found)?;
        ReadableRun {
            run: SyncResponse::from(row.clone()),
            object: None,
            row: Some((store, row)),
        }
    };
    if let Some(namespace) = &readable.run.namespace {
        let permission = get_permission(Some(namespace));
        if !state.authorizer.is_allowed(caller, &permission).await? {
            return Err(not_found());
        }
    }
    Ok(readable)
}

/// The connections of the namespaces in which the caller may get runs.
pub async fn readable_connections(
    state: &AdminState,
    caller: &Arc<Caller>,
) -> Result<Vec<Arc<TaranaConnection>>, Problem> {
    let mut readable = Vec::new();
    for connection in state.objects.list::<TaranaConnection>(None, |_| true) {
        let permission = get_permission(connection.metadata.namespace.as_deref());
        if state.authorizer.is_allowed(caller, &permission).await? {
            readable.push(connection);
        }
    }
    Ok(readable)
}

fn get_permission(namespace: Option<&str>) -> Permission {
    Permission::new("get", TaranaSync::RESOURCE, namespace)
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
            Ok(Some((store, row))) if is_shown(state, &key, &row) => return Ok(Some((store, row))),
            Ok(_) => {}
            Err(problem) => unavailable = Some(problem),
        }
    }
    // The row may be in the database that is unavailable.
    unavailable.map_or(Ok(None), Err)
}

/// Whether a row that was found by this connection is of its namespace, and of a connection that this operator watches.
fn is_shown(state: &AdminState, found_by: &Key, row: &LoggedRun) -> bool {
    let Some(namespace) = &row.namespace else {
        return true;
    };
    let of_another = |connection: &String| {
        !state.objects.selects_all()
            && state
                .objects
                .get::<TaranaConnection>(namespace, connection)
                .is_none()
    };
    *namespace == found_by.namespace && !row.connection.as_ref().is_some_and(of_another)
}

/// The first objects that the filter selects, one more than its limit.
fn runs_from_objects(state: &AdminState, filter: &RunFilter) -> Vec<SyncResponse> {
    let is_selected = |sync: &TaranaSync| filter.selects(sync);
    let mut objects = state.objects.list(filter.namespace.as_deref(), is_selected);
    objects.sort_by_cached_key(|sync| std::cmp::Reverse(filter.position(sync)));
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

/// The first rows whose objects are deleted, until the limit is exceeded or the rows are after the position `last`.
async fn runs_from_rows(
    state: &AdminState,
    connection: &TaranaConnection,
    filter: &RunFilter,
    last: Option<Cursor>,
) -> Result<Vec<SyncResponse>, Problem> {
    let states: Vec<&str> = filter.phases.iter().map(|phase| phase.row_status()).collect();
    let trigger_types: Vec<&str> = filter
        .triggers
        .iter()
        .filter_map(|trigger| trigger.row_type())
        .collect();
    if trigger_types.is_empty() {
        return Ok(Vec::new());
    }
    let store = state.pools.store(connection).await?;
    let key = Key::of(connection);
    let live: HashSet<Uuid> = {
        let objects = state
            .objects
            .list::<TaranaSync>(filter.namespace.as_deref(), |_| true);
        objects.iter().map(|sync| object_id(sync.as_ref())).collect()
    };
    let mut query = RunQuery {
        namespace: &key.namespace,
        connection: &key.name,
        states: &states,
        trigger_types: &trigger_types,
        schedule: filter.schedule.as_deref(),
        ended_from: filter.ended_from,
        ended_before: filter.ended_before,
        order: filter.order,
        after: filter.after,
        limit: i64::try_from(filter.limit + 1).unwrap_or(i64::MAX),
    };
    let mut found = Vec::new();
    loop {
        let rows = store
            .logged_runs(&query)
            .await
            .map_err(|fault| Problem::from_database(&fault))?;
        let is_short = rows.len() < filter.limit + 1;
        let runs: Vec<_> = rows.into_iter().map(SyncResponse::from).collect();
        query.after = runs.last().map(|run| filter.position_of(run));
        found.extend(runs.into_iter().filter(|run| !live.contains(&run.id)));
        if is_short || found.len() > filter.limit || last.is_some_and(|last| query.after < Some(last)) {
            return Ok(found);
        }
    }
}
