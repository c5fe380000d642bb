//! Routes of runs: list, get, create, cancel, rerun.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::auth::{Caller, Permission};
use crate::admin::create::{self, Created, DEFAULT_TTL_SECONDS};
use crate::admin::cursor;
use crate::admin::extract::{Authenticated, JsonBody, PathParams, QueryParams};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::sync::{SyncPhase, SyncResponse};
use crate::admin::runs::{self, RunFilter, SyncPage};
use crate::admin::state::{AdminState, SharedState};
use crate::api::connection::TaranaConnection;
use crate::api::sync::{ConnectionRef, TaranaSync, TaranaSyncSpec};

const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 500;
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 256;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(by_id))
        .routes(routes!(by_name))
        .routes(routes!(cancel))
        .routes(routes!(rerun))
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace. Default: all, which requires the permission to list in all namespaces.
    namespace: Option<String>,
    /// Name of the connection.
    connection: Option<String>,
    /// Phase.
    phase: Option<SyncPhase>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Lists runs, newest first, including those whose objects are deleted. Requires `list` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/syncs", tag = "syncs", params(ListQuery), responses((status = 200, body = SyncPage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<SyncPage>, Problem> {
    let permission = Permission::new("list", TaranaSync::RESOURCE, query.namespace.as_deref());
    state.authorizer.authorize(&caller, &permission).await?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_SIZE);
    if !(1..=MAX_PAGE_SIZE).contains(&limit) {
        return Err(Problem::BadRequest(format!(
            "limit: must be a number from 1 to {MAX_PAGE_SIZE}"
        )));
    }
    state.objects.require_synced()?;
    let filter = RunFilter {
        namespace: query.namespace,
        connection: query.connection,
        phases: query.phase.into_iter().collect(),
        before: query.cursor.as_deref().map(cursor::decode).transpose()?,
        limit,
    };
    Ok(Json(runs::list_runs(&state, &filter).await?))
}

/// Returns a run. Requires `get` on `taranasyncs` in its namespace; otherwise 404.
#[utoipa::path(get, path = "/api/v1/syncs/{id}", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object")), responses((status = 200, body = SyncResponse), CommonErrors))]
async fn by_id(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<SyncResponse>, Problem> {
    readable_run(&state, &caller, id).await.map(Json)
}

/// Returns a run whose object exists. Requires `get` on `taranasyncs`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/syncs/{name}", tag = "syncs", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = SyncResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<SyncResponse>, Problem> {
    let permission = Permission::new("get", TaranaSync::RESOURCE, Some(&namespace)).on(&name);
    state.authorizer.authorize(&caller, &permission).await?;
    state.objects.require_synced()?;
    let sync = state.objects.get::<TaranaSync>(&namespace, &name);
    sync.map(|sync| Json(SyncResponse::from(&*sync)))
        .ok_or_else(|| not_found("of this name in this namespace"))
}

/// Spec of a new run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Wish)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct CreateRequest {
    /// Namespace of the run. Default: `--admin-namespace` of the operator.
    namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    connection: Option<String>,
    /// Only plan, and change nothing.
    dry_run: bool,
    /// Delete stale rows: those of stations that the vendor no longer lists.
    delete_stale: bool,
    /// Up to this many deletions are approved, regardless of the delete guard.
    #[schema(minimum = 0)]
    approved_deletes: Option<i32>,
    /// Retries after transient faults.
    #[schema(minimum = 0, maximum = 100)]
    backoff_limit: Option<i32>,
    /// Maximum duration of all attempts together, in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    active_deadline_seconds: Option<i32>,
    /// Seconds after the end of the run until the object is deleted. Default: one week. The log row stays.
    #[schema(minimum = 0)]
    ttl_seconds_after_finished: Option<i32>,
}

/// Creates a run. Requires `create` on `taranasyncs`. A repeated request with the same `Idempotency-Key` returns the same run.
#[utoipa::path(post, path = "/api/v1/syncs", tag = "syncs", request_body = CreateRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 256 ASCII characters that identify the request")),
    responses(
                (status = 200, body = SyncResponse, description = "An earlier request with this key created the run"),
                (status = 201, body = SyncResponse, description = "The run was created", headers(("Location" = String))),
                CommonErrors, WriteErrors))]
async fn create(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Response, Problem> {
    let namespace = request
        .namespace
        .clone()
        .unwrap_or_else(|| state.defaults.namespace.clone());
    let defaults = TaranaSyncSpec::default();
    let spec = TaranaSyncSpec {
        connection_ref: ConnectionRef {
            name: request
                .connection
                .unwrap_or_else(|| state.defaults.connection.clone()),
        },
        dry_run: request.dry_run,
        delete_stale: request.delete_stale,
        approved_deletes: request.approved_deletes,
        backoff_limit: request.backoff_limit.unwrap_or(defaults.backoff_limit),
        active_deadline_seconds: request
            .active_deadline_seconds
            .unwrap_or(defaults.active_deadline_seconds),
        ttl_seconds_after_finished: Some(request.ttl_seconds_after_finished.unwrap_or(DEFAULT_TTL_SECONDS)),
        trigger: create::trigger(&caller),
        ..defaults
    };
    create_run(&state, &caller, &namespace, &headers, spec).await
}

/// Creates a run with the spec of another one, without its `approvedDeletes`. Requires `get` and `create` on `taranasyncs`.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/rerun", tag = "syncs",
        params(("id" = Uuid, Path, description = "Uid of the object"),
               ("Idempotency-Key" = Option<String>, Header, description = "Up to 256 ASCII characters that identify the request")),
    responses(
                (status = 200, body = SyncResponse, description = "An earlier request with this key created the run"),
                (status = 201, body = SyncResponse, description = "The run was created", headers(("Location" = String))),
                CommonErrors, WriteErrors))]
async fn rerun(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let original = readable_run(&state, &caller, id).await?;
    let namespace = original
        .namespace
        .clone()
        .unwrap_or_else(|| state.defaults.namespace.clone());
    let spec = match state.objects.sync_by_id(id).await {
        Some(sync) => TaranaSyncSpec {
            approved_deletes: None,
            cancel: false,
            ..sync.spec.clone()
        },
        None => original.to_spec(&state.defaults.connection),
    };
    let spec = TaranaSyncSpec {
        ttl_seconds_after_finished: Some(DEFAULT_TTL_SECONDS),
        trigger: create::trigger(&caller),
        ..spec
    };
    create_run(&state, &caller, &namespace, &headers, spec).await
}

/// Requests the cancellation of a run. What is not committed by then is not written. Requires `get` and `patch` on
/// `taranasyncs`.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/cancel", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object")),
    responses((status = 202, body = SyncResponse, description = "Cancellation was requested"), CommonErrors, WriteErrors))]
async fn cancel(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
) -> Result<(StatusCode, Json<SyncResponse>), Problem> {
    let run = readable_run(&state, &caller, id).await?;
    let permission = Permission::new("patch", TaranaSync::RESOURCE, run.namespace.as_deref());
    state.authorizer.authorize(&caller, &permission).await?;
    let finished = || Problem::Conflict("the run has already ended: there is nothing to cancel".to_owned());
    let sync = state.objects.sync_by_id(id).await.ok_or_else(finished)?;
    if sync.is_final() {
        return Err(finished());
    }
    let patch = json!({"spec": {"cancel": true}});
    let sync = state.objects.patch(&*sync, patch).await?;
    Ok((StatusCode::ACCEPTED, Json(SyncResponse::from(&sync))))
}

/// The run, if the caller may get it. A missing permission looks like a missing run.
async fn readable_run(state: &AdminState, caller: &Arc<Caller>, id: Uuid) -> Result<SyncResponse, Problem> {
    state.objects.require_synced()?;
    let connections = readable_connections(state, caller).await?;
    let not_found = || not_found("with this id that you may get");
    let run = runs::find_run(state, id, &connections)
        .await?
        .ok_or_else(not_found)?;
    if let Some(namespace) = &run.namespace {
        let permission = get_permission(Some(namespace));
        if !state.authorizer.is_allowed(caller, &permission).await? {
            return Err(not_found());
        }
    }
    Ok(run)
}

/// The connections of the namespaces in which the caller may get runs.
pub(super) async fn readable_connections(
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

fn not_found(which: &str) -> Problem {
    Problem::NotFound(format!("there is no sync {which}"))
}

async fn create_run(
    state: &AdminState,
    caller: &Arc<Caller>,
    namespace: &str,
    headers: &HeaderMap,
    spec: TaranaSyncSpec,
) -> Result<Response, Problem> {
    let permission = Permission::new("create", TaranaSync::RESOURCE, Some(namespace));
    state.authorizer.authorize(caller, &permission).await?;
    state.rate_limiter.check(&caller.name)?;
    state.objects.require_synced()?;
    let key = idempotency_key(headers)?;
    let (status, sync) = match create::create(&state.objects, namespace, key, spec).await? {
        Created::New(sync) => (StatusCode::CREATED, sync),
        Created::Existing(sync) => (StatusCode::OK, sync),
    };
    let sync = SyncResponse::from(&*sync);
    let location = HeaderValue::from_str(&format!("/api/v1/syncs/{}", sync.id));
    let location = location.map_err(|error| Problem::internal("invalid Location header", &error))?;
    Ok((status, [(header::LOCATION, location)], Json(sync)).into_response())
}

/// The `Idempotency-Key` of a request.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
    let invalid = || {
        Problem::BadRequest(format!(
            "Idempotency-Key: must have 1 to {MAX_IDEMPOTENCY_KEY_BYTES} ASCII characters"
        ))
    };
    key.map(Some).ok_or_else(invalid)
}
