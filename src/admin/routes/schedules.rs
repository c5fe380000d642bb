//! Routes of schedules: list, get, run now, suspend, resume.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::authorized::{authorized_object, list_objects};
use crate::admin::extract::{Authenticated, JsonBody, PathParams, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::response::schedule::ScheduleResponse;
use crate::admin::schedules::{self, ScheduledRunOptions};
use crate::admin::state::SharedState;
use crate::api::schedule::TaranaSyncSchedule;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_name))
        .routes(routes!(run))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace. Default: all, which requires the permission to list in all namespaces.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
}

/// Schedules, sorted by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedules)]
struct ScheduleList {
    items: Vec<ScheduleResponse>,
}

/// Lists schedules. Requires `list` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", params(ListQuery), responses((status = 200, body = ScheduleList), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<ScheduleList>, Problem> {
    let items = list_objects::<TaranaSyncSchedule>(&state, &caller, query.namespace.as_deref()).await?;
    Ok(Json(ScheduleList { items }))
}

/// Returns a schedule. Requires `get` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/schedules/{name}", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = ScheduleResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<ScheduleResponse>, Problem> {
    let schedule =
        authorized_object::<TaranaSyncSchedule>(&state, &caller, "get", (&namespace, &name)).await?;
    Ok(Json(ScheduleResponse::from(&*schedule)))
}

/// Options of a run of a schedule.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RunOptions)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct RunRequest {
    /// Only plan, and change nothing. Default: as in the template of the schedule.
    dry_run: Option<bool>,
    /// Delete stale rows: those of stations that the vendor no longer lists. Default: as in the template of the schedule.
    delete_stale: Option<bool>,
}

/// Requests a run of the schedule now, also while it is suspended. Requires `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/run", tag = "schedules", request_body = RunRequest, params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
async fn run(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
    JsonBody(request): JsonBody<RunRequest>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    let options = ScheduledRunOptions {
        dry_run: request.dry_run,
        delete_stale: request.delete_stale,
    };
    let schedule = schedules::request_run(&state, &caller, (&namespace, &name), options).await?;
    Ok((StatusCode::ACCEPTED, Json(ScheduleResponse::from(&schedule))))
}

/// Why a schedule is suspended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SuspendRequest {
    /// Shown in the condition Ready and in the answers of this API. Default: none.
    #[schema(max_length = 256)]
    reason: Option<String>,
}

/// Suspends a schedule: its slots start no runs. The reason replaces the one of an earlier suspension. Requires `patch` on
/// `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/suspend", tag = "schedules", request_body = SuspendRequest, params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
async fn suspend(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
    JsonBody(request): JsonBody<SuspendRequest>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    let reason = request.reason.as_deref();
    let schedule = schedules::suspend(&state, &caller, (&namespace, &name), reason).await?;
    Ok((StatusCode::ACCEPTED, Json(ScheduleResponse::from(&schedule))))
}

/// Resumes a schedule: future slots start runs again, and the reason is removed. Requires `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/resume", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
async fn resume(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    let schedule = schedules::resume(&state, &caller, (&namespace, &name)).await?;
    Ok((StatusCode::ACCEPTED, Json(ScheduleResponse::from(&schedule))))
}
