//! The records that a run left in the database: its errors and its changes.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::records::{self, ChangePage};
use crate::admin::state::SharedState;

const DEFAULT_PAGE_SIZE: i64 = 100;
const MAX_PAGE_SIZE: i64 = 1000;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(errors))
        .routes(routes!(changes))
}

/// Errors of records and of failed attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Errors)]
struct ErrorList {
    /// `{message, timestamp}`, oldest first.
    #[schema(value_type = Vec<Object>)]
    items: Value,
}

/// Lists the errors of a run. Requires `get` on `taranasyncs` in its namespace; otherwise 404.
#[utoipa::path(get, path = "/api/v1/syncs/{id}/errors", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object")), responses((status = 200, body = ErrorList), CommonErrors))]
async fn errors(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<ErrorList>, Problem> {
    let (_, row) = records::readable_row(&state, &caller, id).await?;
    Ok(Json(ErrorList { items: row.errors }))
}

/// Query of the changes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// `next` of the previous page.
    #[param(minimum = 0)]
    after: Option<i32>,
    /// Page size. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// Lists the changes of a run. Requires `get` on `taranasyncs` in its namespace; otherwise 404.
#[utoipa::path(get, path = "/api/v1/syncs/{id}/changes", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object"), ChangesQuery), responses((status = 200, body = ChangePage), CommonErrors))]
async fn changes(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
    QueryParams(query): QueryParams<ChangesQuery>,
) -> Result<Json<ChangePage>, Problem> {
    let after = query.after.unwrap_or_default();
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_SIZE);
    if !(1..=MAX_PAGE_SIZE).contains(&limit) || after < 0 {
        return Err(Problem::BadRequest(format!(
            "limit: must be a number from 1 to {MAX_PAGE_SIZE}; after: must be at least 0"
        )));
    }
    let (store, row) = records::readable_row(&state, &caller, id).await?;
    records::list_changes(&store, row.id, after, limit)
        .await
        .map(Json)
}
