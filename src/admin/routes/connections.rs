//! Routes of connections: list, get.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::auth::Permission;
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::objects::CachedKind;
use crate::admin::problem::Problem;
use crate::admin::response::connection::ConnectionResponse;
use crate::admin::state::SharedState;
use crate::api::connection::TaranaConnection;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_name))
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace. Default: all, which requires the permission to list in all namespaces.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
}

/// Connections, sorted by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connections)]
struct ConnectionList {
    items: Vec<ConnectionResponse>,
}

/// Lists connections. Requires `list` on `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(ListQuery), responses((status = 200, body = ConnectionList), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<ConnectionList>, Problem> {
    let permission = Permission::new("list", TaranaConnection::RESOURCE, query.namespace.as_deref());
    state.authorizer.authorize(&caller, &permission).await?;
    state.objects.require_synced()?;
    let mut connections = state
        .objects
        .list::<TaranaConnection>(query.namespace.as_deref(), |_| true);
    connections.sort_by_cached_key(|c| (c.metadata.namespace.clone(), c.metadata.name.clone()));
    Ok(Json(ConnectionList {
        items: connections
            .iter()
            .map(|connection| ConnectionResponse::from(&**connection))
            .collect(),
    }))
}

/// Returns a connection. Requires `get` on `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/connections/{name}", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = ConnectionResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<ConnectionResponse>, Problem> {
    let permission = Permission::new("get", TaranaConnection::RESOURCE, Some(&namespace)).on(&name);
    state.authorizer.authorize(&caller, &permission).await?;
    state.objects.require_synced()?;
    let not_found = || Problem::NotFound("there is no connection of this name in this namespace".to_owned());
    let connection = state
        .objects
        .get::<TaranaConnection>(&namespace, &name)
        .ok_or_else(not_found)?;
    Ok(Json(ConnectionResponse::from(&*connection)))
}
