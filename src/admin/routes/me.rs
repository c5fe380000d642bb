//! The route that returns who the caller is and what the caller may do.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use super::session::SessionResponse;
use crate::admin::extract::{Authenticated, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::rights::{ActionResponse, list_actions};
use crate::admin::state::SharedState;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(me))
}

/// Query of the caller's permissions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MeQuery {
    /// Namespace of the actions. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
struct MeResponse {
    /// User name.
    user: String,
    /// Groups in Kubernetes. Empty for a Supabase user.
    groups: Vec<String>,
    /// Namespace of the actions.
    namespace: String,
    actions: Vec<ActionResponse>,
    /// The browser session; absent for a request with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionResponse>,
}

/// Returns the caller's name and groups, and what the caller may do in a namespace. Requires no permission.
#[utoipa::path(get, path = "/api/v1/me", tag = "me", params(MeQuery), responses((status = 200, body = MeResponse), CommonErrors))]
async fn me(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<MeQuery>,
    headers: HeaderMap,
) -> Result<Json<MeResponse>, Problem> {
    let session = state.authorizer.session(&headers).await?;
    let namespace = query
        .namespace
        .unwrap_or_else(|| state.defaults.namespace.clone());
    Ok(Json(MeResponse {
        user: caller.name.clone(),
        groups: caller.groups().to_vec(),
        actions: list_actions(&state, &caller, &namespace).await?,
        session: session.map(SessionResponse::from),
        namespace,
    }))
}
