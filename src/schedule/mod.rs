//! Creates runs on a schedule. Each slot of the cron pattern starts at most one run.

mod actions;
mod context;
pub mod controller;
pub mod decide;
mod history;
pub mod observed;
mod readiness;
mod run_template;
mod slot_history;
pub mod status;
mod status_size;
pub mod trigger;

pub use context::ScheduleContext;
