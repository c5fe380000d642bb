#![doc = include_str!("README.md")]

mod account;
mod address;
mod assets;
mod change_form;
mod current_run;
mod overview;
mod page;
mod page_params;
mod problems;
mod return_path;
mod runs;
mod sign_in;
mod stations;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::get;

use super::state::SharedState;

/// Maximum length of a form. The longest useful one, a token, is a tenth of it.
const MAX_FORM_BYTES: usize = 32 * 1024;

/// The pages and their files.
pub fn router() -> Router<SharedState> {
    let start = async || Redirect::to(return_path::START);
    Router::new()
        .route("/admin", get(start))
        .route("/admin/", get(start))
        .merge(overview::router())
        .merge(stations::router())
        .merge(runs::router())
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::submit))
        // GET: a reload after the sign-out.
        .route("/admin/sign-out", get(start).post(sign_in::sign_out))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(from_fn(problems::render))
        .route("/admin/assets/{file}", get(assets::serve))
}
