#![doc = include_str!("README.md")]

mod account;
mod assets;
mod attention;
mod base_stations;
mod change_form;
mod confirm_sync;
mod current_run;
mod list_params;
mod live;
mod overview;
mod page;
mod problems;
mod return_path;
mod sign_in;
mod station;
mod station_changes;
mod station_links;
mod station_table;
mod sync_forms;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::{get, post};

use super::state::SharedState;

/// Maximum length of a form. The longest useful one, a token, is a tenth of it.
const MAX_FORM_BYTES: usize = 32 * 1024;

/// The pages and their files.
pub fn router() -> Router<SharedState> {
    let start = async || Redirect::to(return_path::START);
    Router::new()
        .route("/admin", get(start))
        .route("/admin/", get(start))
        .route(return_path::START, get(base_stations::show))
        .route(return_path::LIVE, get(live::stream))
        .route(return_path::SYNC, get(confirm_sync::show).post(sync_forms::sync))
        .route("/admin/coverage/cancel", post(sync_forms::cancel))
        .route("/admin/coverage/base-stations/{serial}", get(station::show))
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::submit))
        // GET: a reload after the sign-out.
        .route("/admin/sign-out", get(start).post(sign_in::sign_out))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(from_fn(problems::render))
        .route("/admin/assets/{file}", get(assets::serve))
}
