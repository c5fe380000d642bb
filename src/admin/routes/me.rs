//! The route that returns who the caller is and what the caller may do.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use super::session::SessionResponse;
use crate::admin::auth::Permission;
use crate::admin::extract::{Authenticated, QueryParams};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// What the routes of this API do, with the permission that each requires.
const ACTIONS: [(&str, &str, &str); 10] = [
    ("listSyncs", "list", TaranaSync::RESOURCE),
    ("getSync", "get", TaranaSync::RESOURCE),
    ("watchSyncs", "watch", TaranaSync::RESOURCE),
    ("createSync", "create", TaranaSync::RESOURCE),
    ("cancelSync", "patch", TaranaSync::RESOURCE),
    ("approveDeletes", "approve", TaranaSync::RESOURCE),
    ("listSchedules", "list", TaranaSyncSchedule::RESOURCE),
    ("changeSchedule", "patch", TaranaSyncSchedule::RESOURCE),
    ("listConnections", "list", TaranaConnection::RESOURCE),
    ("readStations", "get", TaranaConnection::RESOURCE),
];

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

/// Whether the caller may do something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
struct ActionResponse {
    /// `listSyncs`, `getSync`, `watchSyncs`, `createSync`, `cancelSync`, `approveDeletes` (with `createSync`), `listSchedules`,
    /// `changeSchedule` (run now, suspend, resume), `listConnections` or `readStations`.
    action: &'static str,
    /// Whether Kubernetes, or the role of Supabase users, allows it.
    allowed: bool,
    /// The required permission, for example `create taranasyncs.tarana.dev in namespace coverage`.
    requires: String,
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
    let actions = ACTIONS.map(|(action, verb, resource)| {
        let permission = Permission::new(verb, resource, Some(&namespace));
        let (state, caller) = (&state, &caller);
        async move {
            let allowed = state.authorizer.is_allowed(caller, &permission).await?;
            Ok::<_, Problem>(ActionResponse {
                action,
                allowed,
                requires: permission.to_string(),
            })
        }
    });
    Ok(Json(MeResponse {
        user: caller.name.clone(),
        groups: caller.groups().to_vec(),
        actions: try_join_all(actions).await?,
        session: session.map(SessionResponse::from),
        namespace,
    }))
}
