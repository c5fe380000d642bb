#![doc = include_str!("README.md")]

mod drawing;
mod page;
mod tiles;

use axum::Router;
use axum::routing::get;

use super::return_path::{MAP, MAP_TILES};
use crate::admin::state::SharedState;

/// The page of the map, and the file of its background.
pub fn router() -> Router<SharedState> {
    Router::new()
        .route(MAP, get(page::show))
        .route(MAP_TILES, get(tiles::serve))
}
