//! The stations of a connection's table: search, look, count, take all of them along.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State as FromState;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Refusals;
use crate::admin::objects::Shown;
use crate::admin::problem::Problem;
use crate::admin::read::{Params, Path};
use crate::admin::view::station::{Change, Counted, HEAD, Station, line};
use crate::admin::who::{Authenticated, Caller, Right};
use crate::admin::{Admin, App};
use crate::api::connection::TaranaConnection;
use crate::store::{self, Search, Store};

/// Stations on a page, unless it is said, and at most.
const PAGE: i64 = 50;
const LONGEST_PAGE: i64 = 1000;
/// Changes in the history of a station.
const STORY: i64 = 100;
/// Stations that are read at once for a CSV.
const PIECE: i64 = 2000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(csv))
        .routes(routes!(by_serial))
        .routes(routes!(summary))
}

/// Whose stations.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Namespace of the connection; the operator's own default unless it is said.
    namespace: Option<String>,
    /// Name of the connection; the operator's own default unless it is said.
    connection: Option<String>,
}

/// What stations are sorted by.
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

/// Which stations, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Namespace of the connection; the operator's own default unless it is said.
    namespace: Option<String>,
    /// Name of the connection; the operator's own default unless it is said.
    connection: Option<String>,
    /// Text that stands somewhere in serial, host, site, cell or sector, in any case.
    #[param(max_length = 200)]
    search: Option<String>,
    /// In this market.
    market: Option<String>,
    /// In this region.
    region: Option<String>,
    /// Online or not.
    online: Option<bool>,
    /// By serial number unless it is said.
    sort: Option<Sort>,
    /// Ascending unless it is said.
    order: Option<Order>,
    /// Stations before the page.
    #[param(minimum = 0)]
    offset: Option<i64>,
    /// Stations on the page, 50 unless it is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of stations.
#[derive(Debug, Serialize, ToSchema)]
struct Stations {
    items: Vec<Station>,
    /// How many there are on all pages.
    total: i64,
}

/// Lists stations. Needs `get` on the connection, of `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/stations", tag = "stations", params(Filter), responses((status = 200, body = Stations), Refusals))]
async fn list(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(filter): Params<Filter>,
) -> Result<Json<Stations>, Problem> {
    let whose = Whose {
        namespace: filter.namespace.clone(),
        connection: filter.connection.clone(),
    };
    let store = table(&app, &caller, &whose).await?;
    let limit = filter.limit.unwrap_or(PAGE);
    let offset = filter.offset.unwrap_or_default();
    if !(1..=LONGEST_PAGE).contains(&limit) || offset < 0 {
        return Err(Problem::Malformed(format!(
            "limit: a number from 1 to {LONGEST_PAGE}; offset: one from 0 on"
        )));
    }
    let texts = [&filter.search, &filter.market, &filter.region];
    if texts
        .into_iter()
        .flatten()
        .any(|text| text.contains('\0') || text.chars().count() > 200)
    {
        return Err(Problem::Malformed(
            "search, market, region: at most 200 characters, and no NUL".to_owned(),
        ));
    }
    let search = Search {
        text: filter.search.as_deref(),
        market: filter.market.as_deref(),
        region: filter.region.as_deref(),
        online: filter.online,
        sort: by(filter.sort.unwrap_or_default()),
        descending: filter.order == Some(Order::Descending),
        offset,
        most: limit,
    };
    let (rows, total) = store
        .stations(&search)
        .await
        .map_err(|fault| Problem::of_database(&fault))?;
    Ok(Json(Stations {
        items: rows.into_iter().map(Station::from).collect(),
        total,
    }))
}

fn by(sort: Sort) -> store::Sort {
    match sort {
        Sort::Serial => store::Sort::Serial,
        Sort::Hostname => store::Sort::Hostname,
        Sort::SiteName => store::Sort::Site,
        Sort::Market => store::Sort::Market,
        Sort::Region => store::Sort::Region,
        Sort::Online => store::Sort::Status,
        Sort::ActiveConnections => store::Sort::Connections,
        Sort::LastUpdated => store::Sort::LastUpdated,
    }
}

/// All stations as CSV (RFC 4180, UTF-8), by serial number. What a spreadsheet would take for a formula begins with an apostrophe.
/// Needs `get` on the connection, of `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/stations.csv", tag = "stations", params(Whose), responses(
    (status = 200, body = String, content_type = "text/csv"), Refusals))]
async fn csv(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(whose): Params<Whose>,
) -> Result<Response, Problem> {
    let store = table(&app, &caller, &whose).await?;
    // The first piece is read before the answer begins, so that what is wrong with the database is told as such.
    let first = piece(&store, "").await?;
    let begun = (store, Some((HEAD.to_owned(), first)));
    let pieces = stream::try_unfold(begun, |(store, next)| async move {
        let Some((mut text, rows)) = next else {
            return Ok::<_, Broken>(None);
        };
        for row in &rows {
            text.push_str(&line(row));
        }
        let next = match rows.last() {
            // A short piece is the last.
            Some(last) if i64::try_from(rows.len()).is_ok_and(|n| n == PIECE) => {
                let rows = piece(&store, &last.serial).await.map_err(|_| Broken)?;
                Some((String::new(), rows))
            }
            _ => None,
        };
        Ok(Some((Bytes::from(text), (store, next))))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"stations.csv\"",
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The answer ends in the middle, so that whoever reads it sees that it is not whole.
#[derive(Debug, thiserror::Error)]
#[error("the database went away")]
struct Broken;

async fn piece(store: &Store, after: &str) -> Result<Vec<store::Listed>, Problem> {
    store
        .stations_after(after, PIECE)
        .await
        .map_err(|fault| Problem::of_database(&fault))
}

/// A station and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
struct Told {
    /// Absent where its row is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<Station>,
    /// What the newest 500 runs did to it, or would have: the newest hundred changes, newest first.
    changes: Vec<Change>,
}

/// Shows a station with its history. Needs `get` on the connection, of `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/stations/{serial}", tag = "stations", params(("serial" = String, Path), Whose), responses((status = 200, body = Told), Refusals))]
async fn by_serial(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Path(serial): Path<String>,
    Params(whose): Params<Whose>,
) -> Result<Json<Told>, Problem> {
    let store = table(&app, &caller, &whose).await?;
    if serial.contains('\0') {
        return Err(Problem::Malformed(
            "serial: no serial number has a NUL".to_owned(),
        ));
    }
    let away = |fault| Problem::of_database(&fault);
    let station = store.station(&serial).await.map_err(away)?;
    let changes = store.story(&serial, STORY).await.map_err(away)?;
    if station.is_none() && changes.is_empty() {
        return Err(Problem::NotFound(
            "there is no station of this serial number, and was none of late".to_owned(),
        ));
    }
    Ok(Json(Told {
        station: station.map(Station::from),
        changes: changes.into_iter().map(Change::from).collect(),
    }))
}

/// Counts of stations.
#[derive(Debug, Serialize, ToSchema)]
struct Summary {
    /// Of all.
    all: Counted,
    /// By market, the largest first.
    markets: Vec<Market>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Market {
    /// Its name; empty for the stations of none.
    market: String,
    #[serde(flatten)]
    counted: Counted,
}

/// Counts stations, in SQL. Needs `get` on the connection, of `taranaconnections`.
#[utoipa::path(get, path = "/api/v1/summary", tag = "stations", params(Whose), responses((status = 200, body = Summary), Refusals))]
async fn summary(
    FromState(app): FromState<App>,
    Authenticated(caller): Authenticated,
    Params(whose): Params<Whose>,
) -> Result<Json<Summary>, Problem> {
    let store = table(&app, &caller, &whose).await?;
    let tallies = store
        .tally()
        .await
        .map_err(|fault| Problem::of_database(&fault))?;
    let all = tallies
        .iter()
        .find(|tally| tally.market.is_none())
        .map(Counted::from);
    let markets = tallies.iter().filter_map(|tally| {
        Some(Market {
            market: tally.market.clone()?,
            counted: Counted::from(tally),
        })
    });
    Ok(Json(Summary {
        all: all.unwrap_or_default(),
        markets: markets.collect(),
    }))
}

/// The table of a connection that the caller may get.
async fn table(app: &Admin, caller: &Arc<Caller>, whose: &Whose) -> Result<Store, Problem> {
    let namespace = whose.namespace.as_deref().unwrap_or(&app.defaults.namespace);
    let name = whose.connection.as_deref().unwrap_or(&app.defaults.connection);
    let right = Right::new("get", TaranaConnection::RESOURCE, Some(namespace)).on(name);
    app.access.may(caller, &right).await?;
    app.objects.known()?;
    let missing = || {
        Problem::NotFound(format!(
            "there is no TaranaConnection {name} in namespace {namespace}"
        ))
    };
    let connection = app
        .objects
        .get::<TaranaConnection>(namespace, name)
        .ok_or_else(missing)?;
    app.databases.of(&connection).await
}
