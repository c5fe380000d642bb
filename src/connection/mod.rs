//! Probes of a `TaranaConnection`, and the clients and state that its runs share.

pub mod clients;
mod context;
pub mod controller;
mod key;
mod overlap;
mod probes;
mod record;
mod registries;
pub mod registry;
mod secrets;
mod sink_report;
mod state;
pub mod status;
mod warnings;

pub use clients::{ConnectionClients, build_clients};
pub use context::ConnectionContext;
pub use key::Key;
pub use probes::ProbeLimiter;
pub use registries::Registries;
pub use registry::{ConnectionView, Connections};
pub use secrets::{database_config, sink_config, sink_secrets};
pub use sink_report::SinkReport;
pub use state::{ConnectionState, concerns_connection};
pub use warnings::OpenRows;
