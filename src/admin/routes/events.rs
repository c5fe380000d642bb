//! The route of live updates.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::auth::Permission;
use crate::admin::extract::{Authenticated, QueryParams};
use crate::admin::kind::ApiKind;
use crate::admin::live::{EventStream, Selection, Sources};
use crate::admin::objects::CachedKind;
use crate::admin::problem::{Problem, ProblemDetails};
use crate::admin::state::SharedState;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// Within this time a client notices that its connection is dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx buffers responses unless this says no.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Query of the stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Namespace. Default: all, which requires the permission to watch in all namespaces.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Comma-separated kinds: `syncs`, `schedules`, `connections`. Default: all three.
    kinds: Option<String>,
}

/// Streams the objects and their changes as server-sent events. Requires `watch` on the resource of each kind.
///
/// `snapshot` has a list of each kind (of ended runs the newest 100); it replaces what the reader knows, and comes again after changes
/// may have been missed. `applied` has `kind` and the new `object`; `deleted` has `kind`, `namespace`, `name` and `id`. Objects are
/// identified by `id`: a deleted one may already be replaced by another of its name. A comment is sent every 15 s. With the header
/// `Last-Event-ID`, the same process continues after that event; otherwise the stream begins with a snapshot. The stream ends when
/// the operator stops, when the token or a permission ends (within a minute, if Kubernetes answers), and when the client reads nothing
/// for 30 s or is more than 1,024 changes behind.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventsQuery,
    ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was received")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 429, content_type = "application/problem+json", body = ProblemDetails, description = "The caller has 1,000 open streams"),
        CommonErrors))]
async fn events(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let selection = selection(query)?;
    state
        .authorizer
        .authorize_all(&caller, &selection.permissions)
        .await?;
    let last_event_id = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let sources = Sources {
        objects: Arc::clone(&state.objects),
        authorizer: Arc::clone(&state.authorizer),
        streams: Arc::clone(&state.streams),
    };
    let stream = EventStream::new(sources, &caller.name, selection, &headers, last_event_id)?;
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
    let mut response = Sse::new(stream.into_events())
        .keep_alive(heartbeat)
        .into_response();
    let headers = response.headers_mut();
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn selection(query: EventsQuery) -> Result<Selection, Problem> {
    let known = [
        (TaranaSync::NAME, TaranaSync::RESOURCE),
        (TaranaSyncSchedule::NAME, TaranaSyncSchedule::RESOURCE),
        (TaranaConnection::NAME, TaranaConnection::RESOURCE),
    ];
    let names = query
        .kinds
        .as_deref()
        .map(|kinds| kinds.split(',').collect::<Vec<_>>());
    if let Some(unknown) = names
        .iter()
        .flatten()
        .find(|name| !known.iter().any(|(kind, _)| kind == *name))
    {
        let unknown = unknown.chars().take(64).collect::<String>();
        return Err(Problem::BadRequest(format!(
            "kinds: `{}` is none of syncs, schedules, connections",
            unknown.escape_debug()
        )));
    }
    let selected = known
        .iter()
        .filter(|(kind, _)| names.as_ref().is_none_or(|names| names.contains(kind)));
    let (kinds, permissions) = selected
        .map(|(kind, resource)| {
            (
                *kind,
                Permission::new("watch", resource, query.namespace.as_deref()),
            )
        })
        .unzip();
    Ok(Selection {
        namespace: query.namespace,
        kinds,
        permissions,
    })
}
