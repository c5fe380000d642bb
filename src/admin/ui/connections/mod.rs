#![doc = include_str!("README.md")]

mod page;
mod view;

use axum::Router;
use axum::routing::get;

use super::return_path::CONNECTIONS;
use crate::admin::state::SharedState;

/// The page of the connections.
pub fn router() -> Router<SharedState> {
    Router::new().route(CONNECTIONS, get(page::show))
}
