//! Routes of the attempts of a run: list.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::errors::CommonErrors;
use crate::admin::auth::Permission;
use crate::admin::extract::{Authenticated, PathParams};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::attempt::AttemptList;
use crate::admin::runs;
use crate::admin::state::{AdminState, SharedState};
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;

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
    state.objects.require_synced()?;
    let mut object = state.objects.sync_by_id(id).await;
    if let Some(sync) = &object {
        let permission = Permission::new("get", TaranaSync::RESOURCE, sync.metadata.namespace.as_deref());
        if !state.authorizer.is_allowed(&caller, &permission).await? {
            object = None;
        }
    }
    let row = if let Some(sync) = &object {
        // The status has the last attempts, also while the database is unavailable.
        let row = runs::find_log_row(&state, id, &connection_of(&state, sync)).await;
        row.unwrap_or_default()
    } else {
        let connections = runs::readable_connections(&state, &caller).await?;
        runs::find_log_row(&state, id, &connections).await?
    };
    if object.is_none() && row.is_none() {
        return Err(Problem::NotFound(
            "there is no sync with this id that you may get".to_owned(),
        ));
    }
    let status = object.as_ref().and_then(|sync| sync.status.as_ref());
    Ok(Json(AttemptList::of(row.as_ref().map(|(_, row)| row), status)))
}

/// The connection of a run, if it exists.
fn connection_of(state: &AdminState, sync: &TaranaSync) -> Vec<Arc<TaranaConnection>> {
    let namespace = sync.metadata.namespace.as_deref().unwrap_or_default();
    let found = state.objects.get(namespace, &sync.spec.connection_ref.name);
    found.into_iter().collect()
}
