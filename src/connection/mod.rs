//! Probes of a `TaranaConnection`, and the clients and state that its runs share.

pub mod clients;
pub mod controller;
mod key;
pub mod registry;
mod secrets;
mod state;
pub mod status;

pub use clients::ConnectionClients;
pub use key::Key;
pub use registry::{ConnectionView, Connections};
pub use secrets::database_config;
pub use state::ConnectionState;
