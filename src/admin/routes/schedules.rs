//! Routes of schedules: list, get, run now, suspend, resume.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::auth::{Caller, Permission};
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::schedule::ScheduleResponse;
use crate::admin::state::{AdminState, SharedState};
use crate::api::schedule::{TRIGGER_ANNOTATION, TaranaSyncSchedule};

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
    let permission = Permission::new("list", TaranaSyncSchedule::RESOURCE, query.namespace.as_deref());
    state.authorizer.authorize(&caller, &permission).await?;
    state.objects.require_synced()?;
    let mut schedules = state
        .objects
        .list::<TaranaSyncSchedule>(query.namespace.as_deref(), |_| true);
    schedules.sort_by_cached_key(|s| (s.metadata.namespace.clone(), s.metadata.name.clone()));
    Ok(Json(ScheduleList {
        items: schedules
            .iter()
            .map(|schedule| ScheduleResponse::from(&**schedule))
            .collect(),
    }))
}

/// Returns a schedule. Requires `get` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/schedules/{name}", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = ScheduleResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<ScheduleResponse>, Problem> {
    let schedule = authorized_schedule(&state, &caller, "get", &namespace, &name).await?;
    Ok(Json(ScheduleResponse::from(&*schedule)))
}

/// Requests a run of the schedule now, also while it is suspended. Requires `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/run", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
#[expect(clippy::disallowed_methods, reason = "the time of the request")]
async fn run(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    let requested_at = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {TRIGGER_ANNOTATION: requested_at}}});
    patch_schedule(&state, &caller, (&namespace, &name), patch).await
}

/// Suspends a schedule: its slots start no runs. Requires `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/suspend", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
async fn suspend(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    patch_schedule(
        &state,
        &caller,
        (&namespace, &name),
        json!({"spec": {"suspend": true}}),
    )
    .await
}

/// Resumes a schedule: future slots start runs again. Requires `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/resume", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = ScheduleResponse), CommonErrors, WriteErrors))]
async fn resume(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    patch_schedule(
        &state,
        &caller,
        (&namespace, &name),
        json!({"spec": {"suspend": false}}),
    )
    .await
}

async fn patch_schedule(
    state: &AdminState,
    caller: &Arc<Caller>,
    (namespace, name): (&str, &str),
    patch: Value,
) -> Result<(StatusCode, Json<ScheduleResponse>), Problem> {
    let schedule = authorized_schedule(state, caller, "patch", namespace, name).await?;
    let schedule = state.objects.patch(&*schedule, patch).await?;
    Ok((StatusCode::ACCEPTED, Json(ScheduleResponse::from(&schedule))))
}

/// The schedule, if the caller has the permission for the verb.
async fn authorized_schedule(
    state: &AdminState,
    caller: &Arc<Caller>,
    verb: &'static str,
    namespace: &str,
    name: &str,
) -> Result<Arc<TaranaSyncSchedule>, Problem> {
    let permission = Permission::new(verb, TaranaSyncSchedule::RESOURCE, Some(namespace)).on(name);
    state.authorizer.authorize(caller, &permission).await?;
    state.objects.require_synced()?;
    let not_found = || Problem::NotFound("there is no schedule of this name in this namespace".to_owned());
    state
        .objects
        .get::<TaranaSyncSchedule>(namespace, name)
        .ok_or_else(not_found)
}
