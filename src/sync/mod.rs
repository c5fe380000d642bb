//! One run, from spec to effect.

mod admission;
mod clock;
mod concurrency;
mod context;
pub mod controller;
mod deleted;
mod due_connections;
mod ending;
mod gate;
mod log_row;
pub mod machine;
mod measure;
#[cfg(test)]
mod model;
mod opening;
mod other_shards;
pub mod plan;
mod record;
mod results;
pub mod retention;
mod row_clients;
mod run;
mod settle;
mod spans;
pub mod status;
mod steps;
pub mod sweep;
mod traces;
mod waits;
mod writing;

pub use concurrency::SyncSlots;
pub use context::SyncContext;
