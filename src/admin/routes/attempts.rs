//! Routes of the attempts of a run: list.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, PathParams};
use crate::admin::problem::Problem;
use crate::admin::records;
use crate::admin::response::attempt::AttemptList;
use crate::admin::state::SharedState;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the attempts of a run. Requires `get` on `taranasyncs` in its namespace; otherwise 404.
#[utoipa::path(get, path = "/api/v1/syncs/{id}/attempts", tag = "syncs", params(("id" = Uuid, Path, description = "Uid of the object")), responses((status = 200, body = AttemptList), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<Uuid>,
) -> Result<Json<AttemptList>, Problem> {
    records::list_attempts(&state, &caller, id).await.map(Json)
}
