#![doc = include_str!("README.md")]

pub mod forms;
mod page;
mod view;

use axum::Router;
use axum::routing::{get, post};

use super::return_path::{RUN_SCHEDULE, SCHEDULES};
use crate::admin::state::SharedState;

/// The page of the schedules, and its forms.
pub fn router() -> Router<SharedState> {
    Router::new()
        .route(SCHEDULES, get(page::show))
        .route(RUN_SCHEDULE, post(forms::run))
        .route("/admin/coverage/schedules/suspend", post(forms::suspend))
        .route("/admin/coverage/schedules/resume", post(forms::resume))
}
