#![doc = include_str!("README.md")]

mod chart;
mod forms;
mod history;
pub mod links;
pub mod query;
mod run;
mod waterfall;

use axum::Router;
use axum::routing::{get, post};

use super::return_path::RUNS;
use crate::admin::state::SharedState;

/// The pages of runs, and their forms.
pub fn router() -> Router<SharedState> {
    Router::new()
        .route(RUNS, get(history::show))
        .route("/admin/coverage/runs/{id}", get(run::show))
        .route("/admin/coverage/newer-runs", get(history::newer))
        .route("/admin/coverage/rerun", post(forms::rerun))
        .route("/admin/coverage/approve", post(forms::approve))
}
