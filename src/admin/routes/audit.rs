//! The records that a run left in the database: its errors and its changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::CommonErrors;
use crate::admin::auth::Caller;
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::response::station::ChangeResponse;
use crate::admin::runs;
use crate::admin::state::{AdminState, SharedState};
use crate::store::{LoggedRun, Store};

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
    let (_, row) = readable_row(&state, &caller, id).await?;
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

/// Changes of stations by a run, applied or only planned, in the order of the run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Changes)]
struct ChangePage {
    items: Vec<ChangeResponse>,
    /// `after` of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i32>,
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
    let (store, row) = readable_row(&state, &caller, id).await?;
    let mut changes = store
        .changes(row.id, after, limit + 1)
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    let has_more = i64::try_from(changes.len()).is_ok_and(|n| n > limit);
    changes.truncate(usize::try_from(limit).unwrap_or_default());
    let items: Vec<ChangeResponse> = changes.into_iter().map(ChangeResponse::from).collect();
    Ok(Json(ChangePage {
        next: items.last().filter(|_| has_more).map(|change| change.seq),
        items,
    }))
}

/// The log row of a run that the caller may get.
async fn readable_row(
    state: &AdminState,
    caller: &Arc<Caller>,
    id: Uuid,
) -> Result<(Store, LoggedRun), Problem> {
    state.objects.require_synced()?;
    let connections = runs::readable_connections(state, caller).await?;
    let row = runs::find_log_row(state, id, &connections).await?;
    row.ok_or_else(|| {
        Problem::NotFound("there is no log row of a sync with this id that you may get".to_owned())
    })
}
