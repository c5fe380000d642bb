//! Stamps out runs by the clock: never twice, never lost, never by surprise.

mod act;
mod child;
mod children;
mod context;
pub mod controller;
pub mod cron;
pub mod due;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod history;
mod pattern;
pub mod preview;
pub mod status;
pub mod turn;

pub use children::Children;
pub use context::Context;
pub use cron::Cron;
pub use pattern::Invalid;
pub use preview::Preview;
