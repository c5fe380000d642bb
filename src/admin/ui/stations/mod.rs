#![doc = include_str!("README.md")]

pub mod changes;
pub mod links;
mod markets;
pub mod params;
mod station;
pub mod table;

use axum::Router;
use axum::routing::get;

use crate::admin::state::SharedState;

/// The page of a station.
pub fn router() -> Router<SharedState> {
    Router::new().route("/admin/coverage/base-stations/{serial}", get(station::show))
}
