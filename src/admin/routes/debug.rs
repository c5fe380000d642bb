//! The inner state of the process, which is not part of the `OpenAPI` document: its shape may change with every version.

use axum::Json;
use axum::extract::State;

use crate::admin::auth::Permission;
use crate::admin::extract::Authenticated;
use crate::admin::problem::Problem;
use crate::admin::response::debug::DebugState;
use crate::admin::state::SharedState;

/// Path of the route, and the `nonResourceURL` that permits it.
pub const PATH: &str = "/debug/state";

/// Returns watches, lease, queues, sessions and pools of the replica that answers. Requires `get` on `/debug/state`.
pub async fn state(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
) -> Result<Json<DebugState>, Problem> {
    state
        .authorizer
        .authorize(&caller, &Permission::path(PATH))
        .await?;
    Ok(Json(DebugState::of(&state.process, &state.pools.all())))
}
