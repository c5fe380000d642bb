//! Routes of the stations in a connection's table: list, get, summary, map.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::map_query::MapAreaQuery;
use crate::admin::problem::Problem;
use crate::admin::response::station::{StationDetail, StationPage, StationSummary};
use crate::admin::response::station_map::StationMapResponse;
use crate::admin::state::SharedState;
use crate::admin::station_map::map_area;
use crate::admin::station_query::{ConnectionQuery, ListQuery};
use crate::admin::stations::{find_station, list_stations, summarize};

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_serial))
        .routes(routes!(summary))
        .routes(routes!(map))
}

/// Lists stations. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations", tag = "stations", params(ListQuery), responses((status = 200, body = StationPage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<StationPage>, Problem> {
    let (filter, page) = query.into_parts()?;
    Ok(Json(list_stations(&state, &caller, &filter, &page).await?))
}

/// Returns a station with its history. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations/{serial}", tag = "stations", params(("serial" = String, Path), ConnectionQuery), responses((status = 200, body = StationDetail), CommonErrors))]
async fn by_serial(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(serial): PathParams<String>,
    QueryParams(connection): QueryParams<ConnectionQuery>,
) -> Result<Json<StationDetail>, Problem> {
    Ok(Json(find_station(&state, &caller, &serial, &connection).await?))
}

/// Counts stations. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/summary", tag = "stations", params(ConnectionQuery), responses((status = 200, body = StationSummary), CommonErrors))]
async fn summary(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(connection): QueryParams<ConnectionQuery>,
) -> Result<Json<StationSummary>, Problem> {
    Ok(Json(summarize(&state, &caller, &connection).await?))
}

/// Returns the stations of an area for a map, grouped by the cells of a grid. Positions are those in degrees; a station whose coordinates are
/// 0/0 or not on earth has none. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/map", tag = "stations", params(MapAreaQuery), responses((status = 200, body = StationMapResponse), CommonErrors))]
async fn map(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<MapAreaQuery>,
) -> Result<Json<StationMapResponse>, Problem> {
    let (filter, bounds, zoom) = query.into_parts()?;
    Ok(Json(map_area(&state, &caller, &filter, bounds, zoom).await?))
}
