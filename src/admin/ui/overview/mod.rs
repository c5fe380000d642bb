#![doc = include_str!("README.md")]

mod attention;
mod confirm_sync;
mod live;
mod page;
mod state;
mod sync_forms;

use axum::Router;
use axum::routing::{get, post};

use super::return_path::{LIVE, START, SYNC};
use crate::admin::state::SharedState;

/// The page of the base stations, its live updates and its forms.
pub fn router() -> Router<SharedState> {
    Router::new()
        .route(START, get(page::show))
        .route(LIVE, get(live::stream))
        .route(SYNC, get(confirm_sync::show).post(sync_forms::sync))
        .route("/admin/coverage/cancel", post(sync_forms::cancel))
}
