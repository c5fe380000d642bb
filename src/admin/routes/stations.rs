//! Routes of the stations in a connection's table: list, get, summary.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::errors::CommonErrors;
use crate::admin::extract::{Authenticated, PathParams, QueryParams};
use crate::admin::problem::Problem;
use crate::admin::response::station::{ChangeResponse, Freshness, StationResponse, StationSummary};
use crate::admin::state::SharedState;
use crate::admin::stations::{ConnectionQuery, authorized_store, freshness, summarize};
use crate::store::{self, StationQuery};

const DEFAULT_PAGE_SIZE: i64 = 50;
const MAX_PAGE_SIZE: i64 = 1000;
const MAX_QUERY_CHARS: usize = 200;
/// Changes in the history of a station.
const HISTORY_LIMIT: i64 = 100;

pub fn router() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(by_serial))
        .routes(routes!(summary))
}

/// Sort key of stations.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Sort {
    #[default]
    Serial,
    Hostname,
    SiteName,
    Market,
    Region,
    Online,
    ActiveConnections,
    LastUpdated,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum Order {
    #[default]
    Ascending,
    Descending,
}

/// Query of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    connection: Option<String>,
    /// Text in the serial number or in the name of host, site, cell or sector, case-insensitive.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Market.
    market: Option<String>,
    /// Region.
    region: Option<String>,
    /// Whether the station is online.
    online: Option<bool>,
    /// Sort key. Default serial.
    sort: Option<Sort>,
    /// Sort order. Default ascending.
    order: Option<Order>,
    /// Number of stations to skip. Default 0.
    #[param(minimum = 0)]
    offset: Option<i64>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of stations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stations)]
struct StationPage {
    items: Vec<StationResponse>,
    /// Number of stations on all pages.
    total: i64,
    #[serde(flatten)]
    freshness: Freshness,
}

/// Lists stations. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations", tag = "stations", params(ListQuery), responses((status = 200, body = StationPage), CommonErrors))]
async fn list(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<StationPage>, Problem> {
    let connection = ConnectionQuery {
        namespace: query.namespace.clone(),
        connection: query.connection.clone(),
    };
    let (connection, store) = authorized_store(&state, &caller, &connection).await?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_SIZE);
    let offset = query.offset.unwrap_or_default();
    if !(1..=MAX_PAGE_SIZE).contains(&limit) || offset < 0 {
        return Err(Problem::BadRequest(format!(
            "limit: must be a number from 1 to {MAX_PAGE_SIZE}; offset: must be at least 0"
        )));
    }
    let texts = [&query.search, &query.market, &query.region];
    if texts
        .into_iter()
        .flatten()
        .any(|text| text.contains('\0') || text.chars().count() > MAX_QUERY_CHARS)
    {
        return Err(Problem::BadRequest(format!(
            "search, market, region: must have at most {MAX_QUERY_CHARS} characters and no NUL"
        )));
    }
    let station_query = StationQuery {
        text: query.search.as_deref(),
        market: query.market.as_deref(),
        region: query.region.as_deref(),
        online: query.online,
        sort: sort_column(query.sort.unwrap_or_default()),
        descending: query.order == Some(Order::Descending),
        offset,
        limit,
    };
    let freshness = freshness(&connection, &store).await?;
    let (rows, total) = store
        .stations(&station_query)
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    Ok(Json(StationPage {
        items: rows.into_iter().map(StationResponse::from).collect(),
        total,
        freshness,
    }))
}

fn sort_column(sort: Sort) -> store::StationSort {
    match sort {
        Sort::Serial => store::StationSort::Serial,
        Sort::Hostname => store::StationSort::Hostname,
        Sort::SiteName => store::StationSort::Site,
        Sort::Market => store::StationSort::Market,
        Sort::Region => store::StationSort::Region,
        Sort::Online => store::StationSort::Status,
        Sort::ActiveConnections => store::StationSort::Connections,
        Sort::LastUpdated => store::StationSort::LastUpdated,
    }
}

/// A station and its history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Told)]
struct StationDetail {
    /// Absent if the row is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<StationResponse>,
    /// The newest 100 changes by the newest 500 runs, applied or only planned, newest first.
    changes: Vec<ChangeResponse>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// Returns a station with its history. Requires `get` on the connection (`taranaconnections`).
#[utoipa::path(get, path = "/api/v1/stations/{serial}", tag = "stations", params(("serial" = String, Path), ConnectionQuery), responses((status = 200, body = StationDetail), CommonErrors))]
async fn by_serial(
    State(state): State<SharedState>,
    Authenticated(caller): Authenticated,
    PathParams(serial): PathParams<String>,
    QueryParams(connection): QueryParams<ConnectionQuery>,
) -> Result<Json<StationDetail>, Problem> {
    let (connection, store) = authorized_store(&state, &caller, &connection).await?;
    if serial.contains('\0') {
        return Err(Problem::BadRequest("serial: must not contain NUL".to_owned()));
    }
    let freshness = freshness(&connection, &store).await?;
    let unavailable = |fault| Problem::from_database(&fault);
    let station = store.station(&serial).await.map_err(unavailable)?;
    let changes = store
        .station_history(&serial, HISTORY_LIMIT)
        .await
        .map_err(unavailable)?;
    if station.is_none() && changes.is_empty() {
        return Err(Problem::NotFound(
            "there is no station with this serial number, and none was deleted recently".to_owned(),
        ));
    }
    Ok(Json(StationDetail {
        station: station.map(StationResponse::from),
        changes: changes.into_iter().map(ChangeResponse::from).collect(),
        freshness,
    }))
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
