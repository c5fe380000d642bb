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
mod identifier;
mod log;
mod migrate;
mod outbox;
mod pool;
mod probe;
mod retention;
mod rights;
mod statement;
mod station_map;
mod stations;
mod table;
mod table_lock;
mod verify;
mod write;

pub use admin_users::AdminUser;
pub use apply::{Apply, BeginApply};
pub use config::Config;
pub use export::StationExport;
pub use handle::Store;
pub use log::{
    AbandonedRow, CloseRequest, ClosedRow, FailedAttempt, LastReading, LoggedRun, MAX_SPANS, MomentQuery,
    OpenResult, OpenedRow, Outcome, RunInfo, RunMoment, RunOrder, RunQuery, Span, SpanKind, SweepScope,
    Swept, SweptEnd, TableSummary, Trigger, WaitCause, attempt_message, push_span,
};
pub use outbox::{OutboxBacklog, OutboxEvent, Redelivery};
pub use pool::SessionPools;
pub use retention::{DeletedRows, Retention, RetentionScope};
pub use station_map::{Bounds, MapQuery, MappedStation, StationExtent, StationGroup, StationMap};
pub use stations::{StationChange, StationCounts, StationFilter, StationQuery, StationRow, StationSort};
pub use verify::ServerInfo;
