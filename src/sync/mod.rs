//! One run, from spec to effect.

mod context;
pub mod controller;
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
pub mod status;
mod steps;
pub mod sweep;

pub use context::SyncContext;
