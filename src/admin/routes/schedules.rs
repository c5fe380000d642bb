//! Schedules: list, look, run now, suspend, resume.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as FromState;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Changes, Refusals};
use crate::admin::App;
use crate::admin::objects::Shown;
use crate::admin::problem::Problem;
use crate::admin::read::{Params, Path};
use crate::admin::view::schedule::Schedule;
use crate::admin::who::{Authenticated, Caller, Right};
use crate::api::schedule::{TRIGGER, TaranaSyncSchedule};

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_name))
        .routes(routes!(run))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// Which schedules.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this namespace. Without it, of all, which takes the right to list them everywhere.
    namespace: Option<String>,
}

/// Schedules, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
struct Schedules {
    items: Vec<Schedule>,
}

/// Lists schedules. Needs `list` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", params(Filter), responses((status = 200, body = Schedules), Refusals))]
async fn list(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(filter): Params<Filter>,
) -> Result<Json<Schedules>, Problem> {
    let right = Right::new("list", TaranaSyncSchedule::RESOURCE, filter.namespace.as_deref());
    app.access.may(&caller, &right).await?;
    app.objects.known()?;
    let mut all = app
        .objects
        .all::<TaranaSyncSchedule>(filter.namespace.as_deref(), |_| true);
    all.sort_by_cached_key(|s| (s.metadata.namespace.clone(), s.metadata.name.clone()));
    Ok(Json(Schedules {
        items: all.iter().map(|schedule| Schedule::from(&**schedule)).collect(),
    }))
}

/// Shows a schedule. Needs `get` on `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/schedules/{name}", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Schedule), Refusals))]
async fn by_name(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Schedule>, Problem> {
    let found = found(&app, &caller, "get", &namespace, &name).await?;
    Ok(Json(Schedule::from(&*found)))
}

/// Asks for a run of it now, also while it is suspended. Needs `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/run", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = Schedule), Refusals, Changes))]
#[expect(clippy::disallowed_methods, reason = "when it was asked")]
async fn run(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    let asked_at = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {TRIGGER: asked_at}}});
    changed(&app, &caller, (&namespace, &name), patch).await
}

/// No slot starts a run any more. Needs `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/suspend", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = Schedule), Refusals, Changes))]
async fn suspend(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    changed(
        &app,
        &caller,
        (&namespace, &name),
        json!({"spec": {"suspend": true}}),
    )
    .await
}

/// Slots start runs again, those to come. Needs `patch` on `taranasyncschedules`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/schedules/{name}/resume", tag = "schedules", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 202, body = Schedule), Refusals, Changes))]
async fn resume(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    changed(
        &app,
        &caller,
        (&namespace, &name),
        json!({"spec": {"suspend": false}}),
    )
    .await
}

async fn changed(
    app: &App,
    caller: &Arc<Caller>,
    (namespace, name): (&str, &str),
    patch: Value,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    let schedule = found(app, caller, "patch", namespace, name).await?;
    let schedule = app.objects.change(&*schedule, patch).await?;
    Ok((StatusCode::ACCEPTED, Json(Schedule::from(&schedule))))
}

async fn found(
    app: &App,
    caller: &Arc<Caller>,
    verb: &'static str,
    namespace: &str,
    name: &str,
) -> Result<Arc<TaranaSyncSchedule>, Problem> {
    let right = Right::new(verb, TaranaSyncSchedule::RESOURCE, Some(namespace)).on(name);
    app.access.may(caller, &right).await?;
    app.objects.known()?;
    let missing = || Problem::NotFound("there is no schedule of this name in this namespace".to_owned());
    app.objects
        .get::<TaranaSyncSchedule>(namespace, name)
        .ok_or_else(missing)
}
