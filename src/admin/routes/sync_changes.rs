//! Routes that change runs: create, rerun, approve, cancel. Each change is published as an Event with the caller's name.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::actions::chosen_options;
use crate::admin::create::{self, Created, DEFAULT_TTL_SECONDS};
use crate::admin::extract::{Authenticated, JsonBody, PathParams};
use crate::admin::problem::Problem;
use crate::admin::repeat;
use crate::admin::requests::{self, Cancellation, RunRequest};
use crate::admin::response::sync::SyncResponse;
use crate::admin::state::{AdminState, SharedState};
use crate::api::sync::{ConnectionRef, TaranaSyncSpec};
use crate::fault::Reason;

const MAX_IDEMPOTENCY_KEY_BYTES: usize = 256;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(cancel))
        .routes(routes!(rerun))
        .routes(routes!(approve))
}

/// Spec of a new run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewSync)]
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
    let what = format!(
        "created this run{}",
        chosen_options(spec.dry_run, spec.delete_stale)
    );
    let request = RunRequest {
        namespace: &namespace,
        reason: Reason::SyncRequested,
        what: &what,
    };
    let created = requests::create_run(&state, &caller, request, idempotency_key(&headers), spec).await?;
    created_response(&state, created)
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
    let created = repeat::rerun(&state, &caller, id, idempotency_key(&headers)).await?;
    created_response(&state, created)
}

/// Approves the deletions that a run withheld: creates a run with its spec, but no dry run, that deletes up to as many stale rows,
/// regardless of the delete guard. A second approval of the same run by the same caller returns the run of the first,
/// unless it has another `Idempotency-Key`. Requires `get`, `create` and `approve` on `taranasyncs`.
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
    let created = repeat::approve(&state, &caller, id, idempotency_key(&headers)).await?;
    created_response(&state, created)
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
    match requests::cancel_run(&state, &caller, id).await? {
        Cancellation::Requested(run) => Ok((StatusCode::ACCEPTED, Json(run))),
        Cancellation::Ended(_) => Err(Problem::Conflict(
            "the run has already ended: there is nothing to cancel".to_owned(),
        )),
    }
}

fn created_response(state: &AdminState, created: Created) -> Result<Response, Problem> {
    let (status, sync) = match created {
        Created::New(sync) => (StatusCode::CREATED, sync),
        Created::Existing(sync) => (StatusCode::OK, sync),
    };
    let sync = SyncResponse::from(&*sync);
    let location = state.public_url.link(&format!("/api/v1/syncs/{}", sync.id));
    let location = HeaderValue::from_str(&location);
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
