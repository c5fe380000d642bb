//! Creates runs on a schedule. Each slot of the cron pattern starts at most one run.

mod actions;
mod context;
pub mod controller;
pub mod cron;
pub mod decide;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod history;
pub mod observed;
mod pattern;
pub mod preview;
mod readiness;
mod run_template;
mod slot_history;
pub mod slots;
pub mod status;
mod status_size;
pub mod trigger;

pub use context::ScheduleContext;
pub use cron::Cron;
pub use pattern::InvalidCron;
pub use preview::Preview;
