//! The stations on the map that a caller may get, for the API and the page.

use std::sync::Arc;

use super::auth::Caller;
use super::map_view::{MapView, Size, map_query};
use super::problem::Problem;
use super::response::station_map::StationMapResponse;
use super::state::AdminState;
use super::station_query::FilterQuery;
use super::stations::{authorized_store, freshness};
use crate::store::{Bounds, StationExtent};

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
    let unavailable = |fault| Problem::from_database(&fault);
    let extent = match bounds {
        Some(_) => None,
        None => Some(store.station_extent(&stations).await.map_err(unavailable)?),
    };
    let bounds = bounds
        .or_else(|| extent.and_then(|extent| extent.bounds))
        .unwrap_or_else(|| MapView::WORLD.bounds(DRAWING));
    let zoom = zoom.unwrap_or_else(|| MapView::fit(&bounds, DRAWING).zoom);
    let query = map_query(bounds, zoom);
    let map = store.station_map(&stations, &query).await.map_err(unavailable)?;
    Ok(StationMapResponse::new(map, query.cells, extent, freshness))
}

/// The stations of a view of the map, and where all matching stations are, for a caller who may get the connection. Without a view, the
/// closest one that shows all of them.
pub async fn map_view(
    state: &AdminState,
    caller: &Arc<Caller>,
    filter: &FilterQuery,
    view: Option<MapView>,
) -> Result<(MapView, StationExtent, StationMapResponse), Problem> {
    let (_, store) = authorized_store(state, caller, &filter.connection()).await?;
    let extent = store.station_extent(&filter.filter()?).await;
    let extent = extent.map_err(|fault| Problem::from_database(&fault))?;
    let fitted = || extent.bounds.map(|bounds| MapView::fit(&bounds, DRAWING));
    let view = view.or_else(fitted).unwrap_or(MapView::WORLD);
    let shown = view.bounds(DRAWING);
    let map = map_area(state, caller, filter, Some(shown), Some(view.zoom)).await?;
    Ok((view, extent, map))
}
