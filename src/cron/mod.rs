//! Cron patterns in a time zone, their slots, and which slots are due. Pure.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod pattern;
mod preview;
mod search;
pub mod slots;
mod words;

pub use pattern::InvalidCron;
pub use preview::Preview;
pub use search::{Cron, OffsetEffect};
