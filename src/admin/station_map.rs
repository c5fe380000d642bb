//! The stations on the map that a caller may get, for the API and the page.

use std::sync::Arc;

use super::auth::Caller;
use super::map_view::{MapView, Size, map_query};
use super::problem::Problem;
use super::response::station_map::StationMapResponse;
use super::state::AdminState;
use super::station_query::FilterQuery;
use super::stations::{authorized_store, freshness};
use crate::store::{Bounds, StationExtent, StationFilter, StationMap, Store};

/// Size of a map for which the zoom is chosen if a request has none, and of the page's drawing.
pub const DRAWING: Size = Size {
    width: 960.0,
    height: 540.0,
};

/// The stations of an area at a zoom, for a caller who may get the connection. Without an area those of all matching stations, with their
/// extent.
pub async fn map_area(
    state: &AdminState,
    caller: &Arc<Caller>,
    filter: &FilterQuery,
    bounds: Option<Bounds>,
    zoom: Option<u8>,
) -> Result<StationMapResponse, Problem> {
    let (connection, store) = authorized_store(state, caller, &filter.connection()).await?;
    let stations = filter.filter()?;
    let freshness = freshness(&connection, &store).await?;
    let extent = match bounds {
        Some(_) => None,
        None => Some(read_extent(&store, &stations).await?),
    };
    let bounds = bounds
        .or_else(|| extent.and_then(|extent| extent.bounds))
        .unwrap_or_else(|| MapView::WORLD.bounds(DRAWING));
    let zoom = zoom.unwrap_or_else(|| MapView::fit(&bounds, DRAWING).zoom);
    let (map, cells) = read_area(&store, &stations, bounds, zoom).await?;
    Ok(StationMapResponse::new(map, cells, extent, freshness))
}

/// The stations of a view of the map, and where all matching stations are, for a caller who may get the connection. Without a view, the
/// closest one that shows all of them.
pub async fn map_view(
    state: &AdminState,
    caller: &Arc<Caller>,
    filter: &FilterQuery,
    view: Option<MapView>,
) -> Result<(MapView, StationExtent, StationMapResponse), Problem> {
    let (connection, store) = authorized_store(state, caller, &filter.connection()).await?;
    let stations = filter.filter()?;
    let freshness = freshness(&connection, &store).await?;
    let extent = read_extent(&store, &stations).await?;
    let fitted = || extent.bounds.map(|bounds| MapView::fit(&bounds, DRAWING));
    let view = view.or_else(fitted).unwrap_or(MapView::WORLD);
    let (map, cells) = read_area(&store, &stations, view.bounds(DRAWING), view.zoom).await?;
    Ok((view, extent, StationMapResponse::new(map, cells, None, freshness)))
}

/// How many stations match, and where they are.
async fn read_extent(store: &Store, stations: &StationFilter<'_>) -> Result<StationExtent, Problem> {
    let extent = store.station_extent(stations).await;
    extent.map_err(|fault| Problem::from_database(&fault))
}

/// The stations of an area at a zoom, and the number of cells of the grid along an edge of the world.
async fn read_area(
    store: &Store,
    stations: &StationFilter<'_>,
    bounds: Bounds,
    zoom: u8,
) -> Result<(StationMap, f64), Problem> {
    let query = map_query(bounds, zoom);
    let map = store.station_map(stations, &query).await;
    Ok((map.map_err(|fault| Problem::from_database(&fault))?, query.cells))
}
