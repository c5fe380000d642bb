//! Routes of the timeline of a connection: list.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, PathParams, QueryParams, item_count};
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::admin::timeline::{TimelinePage, read_timeline};

const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 500;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Query of the timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct TimelineQuery {
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What happened to a connection, newest first: starts and ends of its runs, approvals of deletions, suspensions of its schedules, and
/// changes of its spec and theirs. Runs are in the database for ever. All else is as complete as Kubernetes keeps it, which `type`
/// describes. Requires `get` on the connection (`taranaconnections`), and in its namespace `list` on `taranasyncs` and
/// `taranasyncschedules`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/connections/{name}/timeline", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path), TimelineQuery), responses((status = 200, body = TimelinePage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
    QueryParams(query): QueryParams<TimelineQuery>,
) -> Result<Json<TimelinePage>, Problem> {
    let limit = item_count("limit", query.limit, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
    let (cursor, key) = (query.cursor.as_deref(), (namespace.as_str(), name.as_str()));
    let page = read_timeline(&state, &caller, key, cursor, limit).await?;
    Ok(Json(page))
}
