//! Runs: list, look, start, cancel, run again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Changes, Refusals};
use crate::admin::listing::{self, Asked, Page};
use crate::admin::objects::Shown;
use crate::admin::problem::Problem;
use crate::admin::read::{Body, Params, Path};
use crate::admin::start::{self, Started, TIME_TO_LIVE};
use crate::admin::view::sync::{State, Sync};
use crate::admin::who::{Authenticated, Caller, Right};
use crate::admin::{App, cursor};
use crate::api::connection::TaranaConnection;
use crate::api::sync::{ConnectionRef, TaranaSync, TaranaSyncSpec};

/// Runs on a page, unless it is said.
const PAGE: usize = 50;
/// At most.
const LONGEST_PAGE: usize = 500;
/// Longest Idempotency-Key.
const LONGEST_KEY: usize = 256;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(by_id))
        .routes(routes!(by_name))
        .routes(routes!(cancel))
        .routes(routes!(rerun))
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this namespace. Without it, of all, which takes the right to list them everywhere.
    namespace: Option<String>,
    /// On this connection.
    connection: Option<String>,
    /// That stand there.
    phase: Option<State>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// Runs on the page, 50 unless it is said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Lists runs, newest first, those whose objects are gone included. Needs `list` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/syncs", tag = "syncs", params(Filter), responses((status = 200, body = Page), Refusals))]
async fn list(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(filter): Params<Filter>,
) -> Result<Json<Page>, Problem> {
    app.access
        .may(
            &caller,
            &Right::new("list", TaranaSync::RESOURCE, filter.namespace.as_deref()),
        )
        .await?;
    let limit = filter.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Problem::Malformed(format!(
            "limit: a number from 1 to {LONGEST_PAGE}"
        )));
    }
    app.objects.known()?;
    let asked = Asked {
        namespace: filter.namespace,
        connection: filter.connection,
        phases: filter.phase.into_iter().collect(),
        before: filter.cursor.as_deref().map(cursor::read).transpose()?,
        limit,
    };
    Ok(Json(listing::page(&app, &asked).await?))
}

/// Shows a run. Needs `get` on `taranasyncs` in its namespace; without it, there is none.
#[utoipa::path(get, path = "/api/v1/syncs/{id}", tag = "syncs", params(("id" = Uuid, Path, description = "The uid of the object")), responses((status = 200, body = Sync), Refusals))]
async fn by_id(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<Uuid>,
) -> Result<Json<Sync>, Problem> {
    seen(&app, &caller, id).await.map(Json)
}

/// Shows a run whose object exists. Needs `get` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/syncs/{name}", tag = "syncs", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Sync), Refusals))]
async fn by_name(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Sync>, Problem> {
    let right = Right::new("get", TaranaSync::RESOURCE, Some(&namespace)).on(&name);
    app.access.may(&caller, &right).await?;
    app.objects.known()?;
    let sync = app.objects.get::<TaranaSync>(&namespace, &name);
    sync.map(|sync| Json(Sync::from(&*sync)))
        .ok_or_else(|| missing("of this name in this namespace"))
}

/// What a run is to do.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Wish {
    /// Where; the operator's own default unless it is said.
    namespace: Option<String>,
    /// Name of the connection; the operator's own default unless it is said.
    connection: Option<String>,
    /// Plan, and change nothing.
    dry_run: bool,
    /// Delete rows of stations that are gone.
    delete_stale: bool,
    /// So many deletions are approved, whatever the delete guard says.
    #[schema(minimum = 0)]
    approved_deletes: Option<i32>,
    /// Retries after faults that may pass.
    #[schema(minimum = 0, maximum = 100)]
    backoff_limit: Option<i32>,
    /// Seconds that all attempts together may take.
    #[schema(minimum = 1, maximum = 86400)]
    active_deadline_seconds: Option<i32>,
    /// Seconds after its end at which the object goes; a week unless it is said. The row stays.
    #[schema(minimum = 0)]
    ttl_seconds_after_finished: Option<i32>,
}

/// Starts a run. Needs `create` on `taranasyncs`. With an `Idempotency-Key`, a repetition is answered with the run of the first.
#[utoipa::path(post, path = "/api/v1/syncs", tag = "syncs", request_body = Wish,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 256 characters of the caller's own choice")),
    responses(
        (status = 200, body = Sync, description = "It exists already: the first request with this key created it"),
        (status = 201, body = Sync, description = "It is new", headers(("Location" = String))),
        Refusals, Changes))]
async fn create(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    Body(wish): Body<Wish>,
) -> Result<Response, Problem> {
    let namespace = wish
        .namespace
        .clone()
        .unwrap_or_else(|| app.defaults.namespace.clone());
    let defaults = TaranaSyncSpec::default();
    let spec = TaranaSyncSpec {
        connection_ref: ConnectionRef {
            name: wish.connection.unwrap_or_else(|| app.defaults.connection.clone()),
        },
        dry_run: wish.dry_run,
        delete_stale: wish.delete_stale,
        approved_deletes: wish.approved_deletes,
        backoff_limit: wish.backoff_limit.unwrap_or(defaults.backoff_limit),
        active_deadline_seconds: wish
            .active_deadline_seconds
            .unwrap_or(defaults.active_deadline_seconds),
        ttl_seconds_after_finished: Some(wish.ttl_seconds_after_finished.unwrap_or(TIME_TO_LIVE)),
        trigger: start::trigger(&caller),
        ..defaults
    };
    started(&app, &caller, &namespace, &headers, spec).await
}

/// Starts a run like another one. Needs `get` and `create` on `taranasyncs`. What was approved for that one is not for this one.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/rerun", tag = "syncs",
    params(("id" = Uuid, Path, description = "The uid of the object"),
           ("Idempotency-Key" = Option<String>, Header, description = "Up to 256 characters of the caller's own choice")),
    responses(
        (status = 200, body = Sync, description = "It exists already: the first request with this key created it"),
        (status = 201, body = Sync, description = "It is new", headers(("Location" = String))),
        Refusals, Changes))]
async fn rerun(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let like = seen(&app, &caller, id).await?;
    let namespace = like
        .namespace
        .clone()
        .unwrap_or_else(|| app.defaults.namespace.clone());
    let spec = match app.objects.run(id).await {
        Some(sync) => TaranaSyncSpec {
            approved_deletes: None,
            cancel: false,
            ..sync.spec.clone()
        },
        None => like.spec(&app.defaults.connection),
    };
    let spec = TaranaSyncSpec {
        ttl_seconds_after_finished: Some(TIME_TO_LIVE),
        trigger: start::trigger(&caller),
        ..spec
    };
    started(&app, &caller, &namespace, &headers, spec).await
}

/// Asks a run to end. What is not committed by then is not written. Needs `get` and `patch` on `taranasyncs`.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/cancel", tag = "syncs", params(("id" = Uuid, Path, description = "The uid of the object")),
    responses((status = 202, body = Sync, description = "It was asked to end"), Refusals, Changes))]
async fn cancel(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<Sync>), Problem> {
    let shown = seen(&app, &caller, id).await?;
    let right = Right::new("patch", TaranaSync::RESOURCE, shown.namespace.as_deref());
    app.access.may(&caller, &right).await?;
    let ended = || Problem::Conflict("the run has ended: there is nothing to cancel".to_owned());
    let sync = app.objects.run(id).await.ok_or_else(ended)?;
    if sync.status.as_ref().is_some_and(|status| status.phase.is_final()) {
        return Err(ended());
    }
    let patch = json!({"spec": {"cancel": true}});
    let sync = app.objects.change(&*sync, patch).await?;
    Ok((StatusCode::ACCEPTED, Json(Sync::from(&sync))))
}

/// A run that the caller may get. To all others it is not there.
async fn seen(app: &App, caller: &Arc<Caller>, id: Uuid) -> Result<Sync, Problem> {
    app.objects.known()?;
    let connections = readable(app, caller).await?;
    let missing = || missing("with this id that you may get");
    let sync = listing::one(app, id, &connections).await?.ok_or_else(missing)?;
    match &sync.namespace {
        Some(namespace) if !app.access.has(caller, &get(Some(namespace))).await? => Err(missing()),
        _ => Ok(sync),
    }
}

/// The connections in whose namespaces the caller may get runs.
pub(super) async fn readable(app: &App, caller: &Arc<Caller>) -> Result<Vec<Arc<TaranaConnection>>, Problem> {
    let mut readable = Vec::new();
    for connection in app.objects.all::<TaranaConnection>(None, |_| true) {
        let right = get(connection.metadata.namespace.as_deref());
        if app.access.has(caller, &right).await? {
            readable.push(connection);
        }
    }
    Ok(readable)
}

fn get(namespace: Option<&str>) -> Right {
    Right::new("get", TaranaSync::RESOURCE, namespace)
}

fn missing(which: &str) -> Problem {
    Problem::NotFound(format!("there is no sync {which}"))
}

async fn started(
    app: &App,
    caller: &Arc<Caller>,
    namespace: &str,
    headers: &HeaderMap,
    spec: TaranaSyncSpec,
) -> Result<Response, Problem> {
    app.access
        .may(
            caller,
            &Right::new("create", TaranaSync::RESOURCE, Some(namespace)),
        )
        .await?;
    app.limits.trigger(&caller.name)?;
    app.objects.known()?;
    let key = key(headers)?;
    let (status, sync) = match start::start(app, namespace, key, spec).await? {
        Started::New(sync) => (StatusCode::CREATED, sync),
        Started::Known(sync) => (StatusCode::OK, sync),
    };
    let sync = Sync::from(&*sync);
    let location = HeaderValue::from_str(&format!("/api/v1/syncs/{}", sync.id));
    let location = location.map_err(|error| Problem::internal("a location", &error))?;
    Ok((status, [(header::LOCATION, location)], Json(sync)).into_response())
}

/// The Idempotency-Key of a request.
fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let wrong = || Problem::Malformed(format!("Idempotency-Key: 1 to {LONGEST_KEY} characters of ASCII"));
    key.map(Some).ok_or_else(wrong)
}
