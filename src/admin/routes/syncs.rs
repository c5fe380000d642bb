//! Routes of runs: list, get, create, cancel, rerun, approve.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::{CommonErrors, WriteErrors};
use super::objects::authorized_object;
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
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(by_id))
        .routes(routes!(by_name))
        .routes(routes!(cancel))
        .routes(routes!(rerun))
        .routes(routes!(approve))
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace. Default: all, which requires the permission to list in all namespaces.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
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
    let sync = authorized_object::<TaranaSync>(&state, &caller, "get", (&namespace, &name)).await?;
    Ok(Json(SyncResponse::from(&*sync)))
}

/// Spec of a new run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Wish)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct CreateRequest {
    /// Namespace of the run. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    connection: Option<String>,
    /// Only plan, and change nothing.
    dry_run: bool,
    /// Delete stale rows: those of stations that the vendor no longer lists.
    delete_stale: bool,
    /// Up to this many deletions are approved, regardless of the delete guard. Requires also `approve` on `taranasyncs`.
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
    let (namespace, spec) = repeated(&state, &caller, id, &original).await;
    create_run(&state, &caller, &namespace, &headers, spec).await
}

/// Approves the deletions that a run withheld: creates a run with its spec, but no dry run, that deletes up to as many stale rows,
/// regardless of the delete guard. A second approval of the same run returns the run of the first, unless it has another
/// `Idempotency-Key`. Requires `get`, `create` and `approve` on `taranasyncs`.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/approve", tag = "syncs",
        params(("id" = Uuid, Path, description = "Uid of the object that withheld the deletions"),
               ("Idempotency-Key" = Option<String>, Header, description = "Up to 256 ASCII characters that identify the request")),
    responses(
                (status = 200, body = SyncResponse, description = "An earlier request with this key created the run"),
                (status = 201, body = SyncResponse, description = "The run was created", headers(("Location" = String))),
                CommonErrors, WriteErrors))]
async fn approve(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let original = readable_run(&state, &caller, id).await?;
    let (namespace, spec) = repeated(&state, &caller, id, &original).await;
    // Before the state of the run is revealed.
    authorize_creation(&state, &caller, &namespace, true).await?;
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
    let mut headers = headers;
    let key = HeaderValue::from_str(&format!("approve-{id}"));
    let key = key.map_err(|error| Problem::internal("invalid Idempotency-Key", &error))?;
    headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    let spec = TaranaSyncSpec {
        dry_run: false,
        delete_stale: true,
        approved_deletes: Some(withheld),
        ..spec
    };
    create_run(&state, &caller, &namespace, &headers, spec).await
}

/// Namespace and spec of a run like this one, without its approval.
async fn repeated(
    state: &AdminState,
    caller: &Caller,
    id: Uuid,
    original: &SyncResponse,
) -> (String, TaranaSyncSpec) {
    let namespace = original.namespace.clone();
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
        trigger: create::trigger(caller),
        ..spec
    };
    (
        namespace.unwrap_or_else(|| state.defaults.namespace.clone()),
        spec,
    )
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

/// Rejects a caller who may not create runs, or may not approve deletions.
async fn authorize_creation(
    state: &AdminState,
    caller: &Arc<Caller>,
    namespace: &str,
    approves: bool,
) -> Result<(), Problem> {
    let verbs: &[&str] = if approves {
        &["create", "approve"]
    } else {
        &["create"]
    };
    for verb in verbs {
        let permission = Permission::new(verb, TaranaSync::RESOURCE, Some(namespace));
        state.authorizer.authorize(caller, &permission).await?;
    }
    Ok(())
}

async fn create_run(
    state: &AdminState,
    caller: &Arc<Caller>,
    namespace: &str,
    headers: &HeaderMap,
    spec: TaranaSyncSpec,
) -> Result<Response, Problem> {
    authorize_creation(state, caller, namespace, spec.approved_deletes.is_some()).await?;
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
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
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
