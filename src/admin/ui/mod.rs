#![doc = include_str!("README.md")]

mod account;
mod address;
mod assets;
mod change_form;
mod connections;
mod current_run;
mod map;
mod me;
mod overview;
mod page;
mod page_params;
mod problems;
mod return_path;
mod runs;
mod schedules;
mod sign_in;
mod stations;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::{any, get};

use super::problem::Problem;
use super::state::SharedState;

/// Maximum length of a form. The longest useful one, a token, is a tenth of it.
const MAX_FORM_BYTES: usize = 32 * 1024;

/// The pages and their files.
pub fn router() -> Router<SharedState> {
    let start = async || Redirect::to(return_path::START);
    Router::new()
        .route("/", get(start))
        .route("/admin", get(start))
        .route("/admin/", get(start))
        .merge(overview::router())
        .merge(stations::router())
        .merge(map::router())
        .merge(runs::router())
        .merge(schedules::router())
        .merge(connections::router())
        .route(return_path::ME, get(me::show))
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::submit))
        // GET: a reload after the sign-out.
        .route("/admin/sign-out", get(start).post(sign_in::sign_out))
        .route("/admin/{*path}", any(no_page))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(from_fn(problems::render))
        .route("/admin/assets/{file}", get(assets::serve))
}

async fn no_page() -> Problem {
    Problem::NotFound("there is no page at this address".to_owned())
}

async fn wrong_method() -> Problem {
    Problem::MethodNotAllowed(
        "this address receives a form, or it shows a page: open it from there".to_owned(),
    )
}
