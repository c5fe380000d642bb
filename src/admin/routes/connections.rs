//! Routes of connections: list, get, test the event sink.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::{CommonErrors, WriteErrors};
use crate::admin::authorized::{authorized_object, list_objects};
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::response::connection::ConnectionResponse;
use crate::admin::sink_test::{self, SinkTest};
use crate::admin::state::SharedState;
use crate::api::connection::TaranaConnection;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_name))
        .routes(routes!(test_event))
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
    let items = list_objects::<TaranaConnection>(&state, &caller, query.namespace.as_deref()).await?;
    Ok(Json(ConnectionList { items }))
}

/// Returns a connection. Requires `get` on `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/namespaces/{namespace}/connections/{name}", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = ConnectionResponse), CommonErrors))]
async fn by_name(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<ConnectionResponse>, Problem> {
    let connection =
        authorized_object::<TaranaConnection>(&state, &caller, "get", (&namespace, &name)).await?;
    Ok(Json(ConnectionResponse::from(&*connection)))
}

/// Whether the sink accepted the test event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestEvent)]
struct TestEventResponse {
    /// Whether the sink answered with a status of 200 to 299.
    accepted: bool,
    /// Why it did not accept the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Id of the event.
    id: String,
    /// Time until the answer, in milliseconds.
    duration_ms: u64,
}

/// Sends an event of type `tarana/test` to the event sink of a connection, once, and returns the result. Requires `update` on `taranaconnections`.
#[utoipa::path(post, path = "/api/v1/namespaces/{namespace}/connections/{name}/test-event", tag = "connections", params(
    ("namespace" = String, Path), ("name" = String, Path)), responses((status = 200, body = TestEventResponse), CommonErrors, WriteErrors))]
async fn test_event(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams((namespace, name)): PathParams<(String, String)>,
) -> Result<Json<TestEventResponse>, Problem> {
    let SinkTest { id, result, duration } =
        sink_test::send_test_event(&state, &caller, (&namespace, &name)).await?;
    Ok(Json(TestEventResponse {
        accepted: result.is_ok(),
        message: result.err().map(|failure| failure.message),
        id,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    }))
}
