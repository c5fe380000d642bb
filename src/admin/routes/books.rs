//! What a run has left in the database: its errors, and what it changed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as FromState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Refusals;
use super::syncs::readable;
use crate::admin::problem::Problem;
use crate::admin::read::{Params, Path};
use crate::admin::view::station::Change;
use crate::admin::who::{Authenticated, Caller};
use crate::admin::{App, listing};
use crate::store::{Logged, Store};

/// Changes on a page, unless it is said, and at most.
const PAGE: i64 = 100;
const LONGEST_PAGE: i64 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(errors))
        .routes(routes!(changes))
}

/// What was wrong with single records, and why attempts failed.
#[derive(Debug, Serialize, ToSchema)]
struct Errors {
    /// `{message, timestamp}`, in the order in which they were noted.
    #[schema(value_type = Vec<Object>)]
    items: Value,
}

/// Lists the errors of a run. Needs `get` on `taranasyncs` in its namespace; without it, there is none.
#[utoipa::path(get, path = "/api/v1/syncs/{id}/errors", tag = "syncs", params(("id" = Uuid, Path, description = "The uid of the object")), responses((status = 200, body = Errors), Refusals))]
async fn errors(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<Uuid>,
) -> Result<Json<Errors>, Problem> {
    let (_, row) = row(&app, &caller, id).await?;
    Ok(Json(Errors { items: row.errors }))
}

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    #[param(minimum = 0)]
    after: Option<i32>,
    /// Changes on the page, 100 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// What a run did to the stations, or would have done, in its order.
#[derive(Debug, Serialize, ToSchema)]
struct Changes {
    items: Vec<Change>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i32>,
}

/// Lists what a run changed. Needs `get` on `taranasyncs` in its namespace; without it, there is none.
#[utoipa::path(get, path = "/api/v1/syncs/{id}/changes", tag = "syncs", params(("id" = Uuid, Path, description = "The uid of the object"), Which), responses((status = 200, body = Changes), Refusals))]
async fn changes(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<Uuid>,
    Params(which): Params<Which>,
) -> Result<Json<Changes>, Problem> {
    let (after, limit) = (which.after.unwrap_or_default(), which.limit.unwrap_or(PAGE));
    if !(1..=LONGEST_PAGE).contains(&limit) || after < 0 {
        return Err(Problem::Malformed(format!(
            "limit: a number from 1 to {LONGEST_PAGE}; after: one from 0 on"
        )));
    }
    let (store, row) = row(&app, &caller, id).await?;
    let mut changes = store
        .changes(row.id, after, limit + 1)
        .await
        .map_err(|fault| Problem::of_database(&fault))?;
    let more = i64::try_from(changes.len()).is_ok_and(|n| n > limit);
    changes.truncate(usize::try_from(limit).unwrap_or_default());
    let items: Vec<Change> = changes.into_iter().map(Change::from).collect();
    Ok(Json(Changes {
        next: items.last().filter(|_| more).map(|change| change.seq),
        items,
    }))
}

/// The row of a run that the caller may get.
async fn row(app: &App, caller: &Arc<Caller>, id: Uuid) -> Result<(Store, Logged), Problem> {
    app.objects.known()?;
    let connections = readable(app, caller).await?;
    let row = listing::row(app, id, &connections).await?;
    row.ok_or_else(|| Problem::NotFound("there is no row of a sync with this id that you may get".to_owned()))
}
