//! The two routes of the function that this operator replaces, with its request and response formats. They serve the default
//! connection only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::admin::auth::Permission;
use crate::admin::create::{self, CreatedUnlessActive};
use crate::admin::extract::{Authenticated, JsonBody, QueryParams};
use crate::admin::objects::{CachedKind, object_id};
use crate::admin::problem::Problem;
use crate::admin::requests::{self, RunOptions};
use crate::admin::response::legacy::LegacyRow;
use crate::admin::runs;
use crate::admin::state::{AdminState, SharedState};
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::store::RunQuery;

/// Number of rows under `recent`.
const RECENT_ROWS: i64 = 5;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(sync))
        .routes(routes!(status))
        .layer(map_response(convert_problem))
}

/// Error response of the legacy routes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failed)]
struct ErrorResponse {
    /// Always false.
    success: bool,
    /// What is wrong, and what to do.
    error: String,
}

/// Error responses of both routes.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "only the OpenAPI document uses it")]
enum LegacyErrors {
    /// The request is malformed.
    #[response(status = 400)]
    BadRequest(ErrorResponse),
    /// The token is missing or invalid.
    #[response(status = 401)]
    Unauthenticated(ErrorResponse),
    /// The caller lacks a permission, which `error` names.
    #[response(status = 403)]
    Forbidden(ErrorResponse),
    /// The Kubernetes API or the database cannot be used now.
    #[response(status = 503)]
    Unavailable(ErrorResponse),
}

/// Converts a problem response to the legacy format.
async fn convert_problem(response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let body = ErrorResponse {
        success: false,
        error: problem.detail(),
    };
    let mut converted = (problem.status(), Json(body)).into_response();
    converted.headers_mut().extend(problem.header());
    converted
}

/// Options of a run.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = Options)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct TriggerOptions {
    /// Only plan, and change nothing.
    dry_run: bool,
    /// Delete stale rows: those of stations that the vendor no longer lists.
    delete_stale: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Triggered)]
struct TriggeredResponse {
    /// Always true.
    success: bool,
    /// Id of the log row and uid of the object.
    sync_log_id: Uuid,
    message: String,
    options: TriggerOptions,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Busy)]
struct ActiveRunResponse {
    /// Always false.
    success: bool,
    error: String,
    /// The active run.
    active_sync: LegacyRow,
}

/// Creates a run, unless one is pending or running. Requires `create` on `taranasyncs`.
#[utoipa::path(post, path = "/api/admin/tarana/sync", tag = "the function's routes", request_body = TriggerOptions, responses(
    (status = 202, body = TriggeredResponse), (status = 409, body = ActiveRunResponse, description = "A run is active"),
    (status = 413, body = ErrorResponse), (status = 415, body = ErrorResponse), (status = 422, body = ErrorResponse),
    (status = 429, body = ErrorResponse), LegacyErrors))]
async fn sync(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    JsonBody(options): JsonBody<TriggerOptions>,
) -> Result<Response, Problem> {
    let connection = (
        state.defaults.namespace.as_str(),
        state.defaults.connection.as_str(),
    );
    let run_options = RunOptions {
        dry_run: options.dry_run,
        delete_stale: options.delete_stale,
    };
    let created = requests::create_run_unless_active(&state, &caller, connection, run_options).await?;
    Ok(match created {
        CreatedUnlessActive::Created(sync) => {
            let body = TriggeredResponse {
                success: true,
                sync_log_id: object_id(&*sync),
                message: "Tarana sync has been queued".to_owned(),
                options,
            };
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        CreatedUnlessActive::Active(sync) => {
            let body = ActiveRunResponse {
                success: false,
                error: "A sync is already under way".to_owned(),
                active_sync: LegacyRow::from(&*sync),
            };
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
    })
}

/// Query of the status.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// Id of a run. Default: the active run and the newest five.
    id: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
struct StatusResponse {
    /// Always true.
    success: bool,
    data: StatusData,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Data)]
#[serde(untagged)]
enum StatusData {
    /// The response without `id`.
    Overview {
        /// The run that is pending or running.
        #[schema(required)]
        current: Option<LegacyRow>,
        /// The newest five runs, newest first.
        recent: Vec<LegacyRow>,
    },
    /// The run with that `id`.
    One(LegacyRow),
}

/// Returns the active run and the newest runs, or one run. Requires `list` on `taranasyncs`, for one run `get`.
#[utoipa::path(get, path = "/api/admin/tarana/sync/status", tag = "the function's routes", params(StatusQuery), responses(
    (status = 200, body = StatusResponse), (status = 404, body = ErrorResponse, description = "There is no such run"), LegacyErrors))]
async fn status(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<StatusQuery>,
) -> Result<Json<StatusResponse>, Problem> {
    let verb = if query.id.is_some() { "get" } else { "list" };
    let permission = Permission::new(verb, TaranaSync::RESOURCE, Some(&state.defaults.namespace));
    state.authorizer.authorize(&caller, &permission).await?;
    state.objects.require_synced()?;
    let data = match query.id {
        Some(id) => StatusData::One(find_row(&state, id).await?),
        None => overview(&state).await?,
    };
    Ok(Json(StatusResponse { success: true, data }))
}

fn default_connection(state: &AdminState) -> Result<Arc<TaranaConnection>, Problem> {
    let (namespace, name) = (&state.defaults.namespace, &state.defaults.connection);
    let not_found = || {
        Problem::Unavailable(format!(
            "there is no TaranaConnection {name} in namespace {namespace}"
        ))
    };
    state.objects.get(namespace, name).ok_or_else(not_found)
}

async fn overview(state: &AdminState) -> Result<StatusData, Problem> {
    let (namespace, name) = (&state.defaults.namespace, &state.defaults.connection);
    let runs = state.objects.syncs_of(namespace, name);
    let active = create::active_run(&runs);
    let store = state.pools.store(&*default_connection(state)?).await?;
    let query = RunQuery {
        namespace,
        connection: name,
        limit: RECENT_ROWS,
        ..RunQuery::default()
    };
    let rows = store
        .logged_runs(&query)
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    let mut recent: Vec<LegacyRow> = rows.into_iter().map(LegacyRow::from).collect();
    let Some(active) = active else {
        return Ok(StatusData::Overview {
            current: None,
            recent,
        });
    };
    let mut current = recent.iter().find(|row| row.id() == object_id(&*active)).cloned();
    if current.is_none() {
        // The row is not among the newest, or does not exist yet.
        let row = store
            .logged_run(object_id(&*active))
            .await
            .map_err(|fault| Problem::from_database(&fault))?;
        current = row
            .map(LegacyRow::from)
            .or_else(|| Some(LegacyRow::from(&*active)));
    }
    let progress = active.status.as_ref().and_then(|status| status.progress);
    if let (Some(current), Some(progress)) = (&mut current, progress) {
        current.raise_fetched(progress.current);
    }
    if let Some(current) = &current
        && recent.iter().all(|row| row.id() != current.id())
        && recent.len() < usize::try_from(RECENT_ROWS).unwrap_or_default()
    {
        recent.insert(0, current.clone());
    }
    Ok(StatusData::Overview { current, recent })
}

async fn find_row(state: &AdminState, id: Uuid) -> Result<LegacyRow, Problem> {
    let row = runs::find_log_row(state, id, &[default_connection(state)?]).await?;
    if let Some((_, row)) = row {
        return Ok(LegacyRow::from(row));
    }
    let is_in_namespace =
        |sync: &TaranaSync| sync.metadata.namespace.as_ref() == Some(&state.defaults.namespace);
    let sync = state
        .objects
        .sync_by_id(id)
        .await
        .filter(|sync| is_in_namespace(sync));
    let not_found = || Problem::NotFound("there is no sync with this id".to_owned());
    sync.map(|sync| LegacyRow::from(&*sync)).ok_or_else(not_found)
}
