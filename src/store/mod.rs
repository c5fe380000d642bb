#![doc = include_str!("README.md")]

mod admin_users;
mod apply;
mod changes;
mod columns;
mod config;
mod db;
mod decode;
mod encode;
mod error;
mod export;
mod handle;
mod log;
mod migrate;
mod outbox;
mod rights;
mod stations;
mod verify;
mod write;

pub use admin_users::AdminUser;
pub use apply::{Apply, BeginApply};
pub use config::Config;
pub use export::StationExport;
pub use handle::Store;
pub use log::{
    CloseRequest, ClosedRow, FailedAttempt, LastReading, LoggedRun, MomentQuery, OpenResult, Outcome,
    RunInfo, RunMoment, RunOrder, RunQuery, SweepScope, SweptEnd, Trigger, attempt_message,
};
pub use outbox::OutboxEvent;
pub use stations::{StationChange, StationCounts, StationFilter, StationQuery, StationRow, StationSort};
