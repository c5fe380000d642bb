//! The stations in the table of a connection that a caller may get, for the API and the pages.

use std::sync::Arc;

use super::auth::{Caller, Permission};
use super::objects::{CachedKind, object_id};
use super::problem::Problem;
use super::response::station::{
    ChangeResponse, Freshness, StationDetail, StationPage, StationResponse, StationSummary,
};
use super::state::AdminState;
use super::station_query::{ConnectionQuery, FilterQuery, PageQuery, station_query};
use crate::api::connection::TaranaConnection;
use crate::store::Store;

/// Changes in the history of a station.
const HISTORY_LIMIT: i64 = 100;

/// The totals of a connection's table, for a caller who may get the connection.
pub async fn summarize(
    state: &AdminState,
    caller: &Arc<Caller>,
    query: &ConnectionQuery,
) -> Result<StationSummary, Problem> {
    let (connection, store) = authorized_store(state, caller, query).await?;
    let freshness = freshness(&connection, &store).await?;
    let counts = store
        .station_counts()
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    Ok(StationSummary::new(&counts, freshness))
}

/// A page of the matching stations, for a caller who may get the connection.
pub async fn list_stations(
    state: &AdminState,
    caller: &Arc<Caller>,
    filter: &FilterQuery,
    page: &PageQuery,
) -> Result<StationPage, Problem> {
    let (connection, store) = authorized_store(state, caller, &filter.connection()).await?;
    let query = station_query(filter, page)?;
    let freshness = freshness(&connection, &store).await?;
    let (rows, total) = store
        .stations(&query)
        .await
        .map_err(|fault| Problem::from_database(&fault))?;
    Ok(StationPage {
        items: rows.into_iter().map(StationResponse::from).collect(),
        total,
        freshness,
    })
}

/// A station and its history, for a caller who may get the connection.
pub async fn find_station(
    state: &AdminState,
    caller: &Arc<Caller>,
    serial: &str,
    query: &ConnectionQuery,
) -> Result<StationDetail, Problem> {
    let (connection, store) = authorized_store(state, caller, query).await?;
    if serial.contains('\0') {
        return Err(Problem::BadRequest("serial: must not contain NUL".to_owned()));
    }
    let freshness = freshness(&connection, &store).await?;
    let unavailable = |fault| Problem::from_database(&fault);
    let station = store.station(serial).await.map_err(unavailable)?;
    let changes = store
        .station_history(serial, HISTORY_LIMIT)
        .await
        .map_err(unavailable)?;
    if station.is_none() && changes.is_empty() {
        return Err(Problem::NotFound(
            "there is no station with this serial number, and none was deleted recently".to_owned(),
        ));
    }
    Ok(StationDetail {
        station: station.map(StationResponse::from),
        changes: changes.into_iter().map(ChangeResponse::from).collect(),
        freshness,
    })
}

/// How fresh the table is. It is read before the stations, so that they are at least as fresh as it tells.
pub async fn freshness(connection: &TaranaConnection, store: &Store) -> Result<Freshness, Problem> {
    let reading = store.last_reading(object_id(connection)).await;
    let reading = reading.map_err(|fault| Problem::from_database(&fault))?;
    Ok(Freshness::from(reading))
}

/// Namespace and name of the connection that a query selects.
pub fn connection_key<'a>(state: &'a AdminState, query: &'a ConnectionQuery) -> (&'a str, &'a str) {
    let namespace = query.namespace.as_deref().unwrap_or(&state.defaults.namespace);
    let name = query.connection.as_deref().unwrap_or(&state.defaults.connection);
    (namespace, name)
}

/// A connection that the caller may get, and its store.
pub async fn authorized_store(
    state: &AdminState,
    caller: &Arc<Caller>,
    query: &ConnectionQuery,
) -> Result<(Arc<TaranaConnection>, Store), Problem> {
    let (namespace, name) = connection_key(state, query);
    let permission = Permission::new("get", TaranaConnection::RESOURCE, Some(namespace)).on(name);
    state.authorizer.authorize(caller, &permission).await?;
    state.objects.require_synced()?;
    let not_found = || {
        Problem::NotFound(format!(
            "there is no TaranaConnection {name} in namespace {namespace}"
        ))
    };
    let connection = state
        .objects
        .get::<TaranaConnection>(namespace, name)
        .ok_or_else(not_found)?;
    let store = state.pools.store(&connection).await?;
    Ok((connection, store))
}
