//! One run, from spec to effect.

mod clock;
mod context;
pub mod controller;
mod ending;
mod gate;
mod log_row;
pub mod machine;
#[cfg(test)]
mod model;
pub mod plan;
mod record;
mod results;
mod row_clients;
mod run;
mod spans;
pub mod status;
mod steps;
pub mod sweep;
mod waits;

pub use context::SyncContext;
