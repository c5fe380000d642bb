#![doc = include_str!("README.md")]

mod apply;
mod changes;
mod columns;
mod config;
mod db;
mod decode;
mod encode;
mod error;
mod handle;
mod log;
mod migrate;
mod outbox;
mod rights;
mod stations;
mod verify;
mod write;

pub use apply::{Apply, BeginApply};
pub use config::Config;
pub use handle::Store;
pub use log::{
    CloseRequest, ClosedRow, LoggedRun, OpenResult, Outcome, RunInfo, RunQuery, SweepScope, SweptEnd, Trigger,
};
pub use outbox::OutboxEvent;
pub use stations::{StationChange, StationCounts, StationQuery, StationRow, StationSort};
