//! Connections: list, look.

use axum::Json;
use axum::extract::State as FromState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Refusals;
use crate::admin::App;
use crate::admin::objects::Shown;
use crate::admin::problem::Problem;
use crate::admin::read::{Params, Path};
use crate::admin::view::connection::Connection;
use crate::admin::who::{Authenticated, Right};
use crate::api::connection::TaranaConnection;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_name))
}

/// Which connections.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this namespace. Without it, of all, which takes the right to list them everywhere.
    namespace: Option<String>,
}

/// Connections, by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
struct Connections {
    items: Vec<Connection>,
}

/// Lists connections. Needs `list` on `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(Filter), responses((status = 200, body = Connections), Refusals))]
async fn list(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(filter): Params<Filter>,
) -> Result<Json<Connections>, Problem> {
    let right = Right::new("list", TaranaConnection::RESOURCE, filter.namespace.as_deref());
    app.access.may(&caller, &right).await?;
    app.objects.known()?;
    let mut all = app
        .objects
        .all::<TaranaConnection>(filter.namespace.as_deref(), |_| true);
    all.sort_by_cached_key(|c| (c.metadata.namespace.clone(), c.metadata.name.clone()));
    Ok(Json(Connections {
        items: all
            .iter()
            .map(|connection| Connection::from(&**connection))
            .collect(),
    }))
}

/// Shows a connection. Needs `get` on `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/connections/{name}", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = Connection), Refusals))]
async fn by_name(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Connection>, Problem> {
    let right = Right::new("get", TaranaConnection::RESOURCE, Some(&namespace)).on(&name);
    app.access.may(&caller, &right).await?;
    app.objects.known()?;
    let missing = || Problem::NotFound("there is no connection of this name in this namespace".to_owned());
    let found = app
        .objects
        .get::<TaranaConnection>(&namespace, &name)
        .ok_or_else(missing)?;
    Ok(Json(Connection::from(&*found)))
}
