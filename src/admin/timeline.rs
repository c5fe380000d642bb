//! What happened to a connection, for a caller who may read it: from log rows, objects and Kubernetes Events.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Permission};
use super::authorized::authorized_object;
use super::cursor::{self, Cursor};
use super::objects::CachedKind;
use super::problem::Problem;
use super::response::timeline::{self, TimelineEntry, TimelineKind};
use super::state::AdminState;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::connection::Key;
use crate::store::MomentQuery;

/// Name of the list, for its cursors.
const LIST: &str = "timeline";

/// A page of a timeline, newest first.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Timeline)]
#[serde(rename_all = "camelCase")]
pub struct TimelinePage {
    pub items: Vec<TimelineEntry>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Sources that are missing here: `events`, if the operator may not list Kubernetes Events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<&'static str>,
}

/// The timeline of a connection (namespace and name), from the position of a cursor on. Requires `get` on the connection, and in its
/// namespace `list` on runs and schedules. An invalid limit is reported to authorized callers only.
pub async fn read_timeline(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, name): (&str, &str),
    cursor: Option<&str>,
    limit: Result<usize, Problem>,
) -> Result<TimelinePage, Problem> {
    let connection = authorized_object::<TaranaConnection>(state, caller, "get", (namespace, name)).await?;
    let lists = [TaranaSync::RESOURCE, TaranaSyncSchedule::RESOURCE];
    let lists = lists.map(|resource| Permission::new("list", resource, Some(namespace)));
    state.authorizer.authorize_all(caller, &lists).await?;
    let limit = limit?;
    let before = cursor.map(|cursor| cursor::decode(LIST, cursor)).transpose()?;
    let mut items = run_entries(state, &connection, before, limit).await?;
    let (others, unread) = object_entries(state, &connection).await?;
    let is_on_page = |entry: &TimelineEntry| before.is_none_or(|before| entry.position() < before);
    items.extend(others.into_iter().filter(is_on_page));
    items.sort_by_key(|entry| std::cmp::Reverse(entry.position()));
    let has_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| has_more);
    Ok(TimelinePage {
        next_cursor: last.map(|entry| cursor::encode(LIST, entry.position())),
        items,
        unread,
    })
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
    let runs = state.objects.syncs_of(&namespace, &name);
    let schedules = state.objects.schedules_of(&namespace, &name);
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
