//! Routes of the timeline of a connection: list.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use super::objects::authorized_object;
use crate::admin::auth::Permission;
use crate::admin::cursor::{self, Cursor};
use crate::admin::extract::{Authenticated, PathParams, QueryParams, item_count};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::timeline::{self, TimelineEntry, TimelineKind};
use crate::admin::state::{AdminState, SharedState};
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::connection::Key;
use crate::store::MomentQuery;

/// Name of the list, for its cursors.
const LIST: &str = "timeline";
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 500;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Query of the timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct TimelineQuery {
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// A page of a timeline, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
#[serde(rename_all = "camelCase")]
struct TimelinePage {
    items: Vec<TimelineEntry>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Sources that are missing here: `events`, if the operator may not list Kubernetes Events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<&'static str>,
}

/// What happened to a connection, newest first: starts and ends of its runs, approvals of deletions, suspensions of its schedules, and
/// changes of its spec and theirs. Runs are in the database for ever. All else is as complete as Kubernetes keeps it, which `type`
/// describes. Requires `get` on the connection (`taranaconnections`), and in its namespace `list` on `taranasyncs` and
/// `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/connections/{name}/timeline", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path), TimelineQuery), responses((status = 200, body = TimelinePage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<TimelineQuery>,
) -> Result<Json<TimelinePage>, Problem> {
    let connection =
        authorized_object::<TaranaConnection>(&state, &caller, "get", (&namespace, &name)).await?;
    for resource in [TaranaSync::RESOURCE, TaranaSyncSchedule::RESOURCE] {
        let permission = Permission::new("list", resource, Some(&namespace));
        state.authorizer.authorize(&caller, &permission).await?;
    }
    let limit = item_count("limit", query.limit, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let before = query
        .cursor
        .map(|cursor| cursor::decode(LIST, &cursor))
        .transpose()?;
    let mut items = run_entries(&state, &connection, before, limit).await?;
    let (others, unread) = object_entries(&state, &connection).await?;
    let is_on_page = |entry: &TimelineEntry| before.is_none_or(|before| entry.position() < before);
    items.extend(others.into_iter().filter(is_on_page));
    items.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
    let has_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| has_more);
    Ok(Json(TimelinePage {
        next_cursor: last.map(|entry| cursor::encode(LIST, entry.position())),
        items,
        unread,
    }))
}

/// Starts and ends of runs, one more than the limit.
async fn run_entries(
    state: &AdminState,
    connection: &TaranaConnection,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Vec<TimelineEntry>, Problem> {
    let key = Key::of(connection);
    let store = state.pools.store(connection).await?;
    let query = MomentQuery {
        namespace: &key.namespace,
        connection: &key.name,
        before,
        limit: i64::try_from(limit + 1).unwrap_or(i64::MAX),
    };
    let moments = store.run_moments(&query).await;
    let moments = moments.map_err(|fault| Problem::from_database(&fault))?;
    Ok(moments.into_iter().map(TimelineEntry::from).collect())
}

/// All entries about objects and from Events, and the sources that could not be read.
async fn object_entries(
    state: &AdminState,
    connection: &TaranaConnection,
) -> Result<(Vec<TimelineEntry>, Vec<&'static str>), Problem> {
    let Key { namespace, name } = Key::of(connection);
    let runs = state
        .objects
        .list::<TaranaSync>(Some(&namespace), |sync| sync.spec.connection_ref.name == name);
    let schedules = state
        .objects
        .list::<TaranaSyncSchedule>(Some(&namespace), |schedule| {
            schedule.spec.template.spec.connection_ref.name == name
        });
    let mut entries: Vec<_> = runs.iter().filter_map(|sync| timeline::approval(sync)).collect();
    entries.extend(written_specs(state, connection, &schedules).await?);
    let events = state.objects.suspension_events(&namespace).await?;
    let is_unread = events.is_none();
    let events = events.unwrap_or_default();
    let reported = events
        .iter()
        .flat_map(|event| timeline::event(event, schedules.iter().map(Arc::as_ref)));
    let reported: Vec<_> = reported.collect();
    entries.extend(
        schedules
            .iter()
            .filter_map(|schedule| timeline::suspension(schedule, &reported)),
    );
    entries.extend(reported);
    let unread = is_unread.then_some("events").into_iter().collect();
    Ok((entries, unread))
}

/// Creations and changes of the specs of the connection and its schedules. The watch caches do not have the managed fields.
async fn written_specs(
    state: &AdminState,
    connection: &TaranaConnection,
    schedules: &[Arc<TaranaSyncSchedule>],
) -> Result<Vec<TimelineEntry>, Problem> {
    let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
    let mut entries = Vec::new();
    let name = connection.metadata.name.as_deref().unwrap_or_default();
    let own = state
        .objects
        .fetch_metadata_of::<TaranaConnection>(namespace, name)
        .await?;
    if let Some(own) = own.filter(|own| own.uid == connection.metadata.uid) {
        entries.extend(timeline::spec_changes(TimelineKind::Connection, &own));
    }
    for metadata in state
        .objects
        .fetch_metadata::<TaranaSyncSchedule>(namespace)
        .await?
    {
        if schedules
            .iter()
            .any(|schedule| schedule.metadata.uid == metadata.uid)
        {
            entries.extend(timeline::spec_changes(TimelineKind::Schedule, &metadata));
        }
    }
    Ok(entries)
}
