//! HTTP access to TCS: session, limits, transport, and the mapping of failures to faults.
//!
//! [`Api::call`] is the entry point. A request passes `api` (session, one re-login) → `transport` (limits, HTTP, body size)
//! → `retry_budget` (sends it again if the server was only busy) → `faults` and `transport_faults` (what a failure means)
//! → `envelope` (unwraps the answer).
#![doc = include_str!("README.md")]

mod api;
mod body;
mod concurrency;
mod date;
pub(super) mod envelope;
pub(super) mod faults;
mod limits;
mod memory;
mod read_retries;
mod request;
pub(super) mod retry_after;
mod retry_budget;
mod session;
pub(super) mod tokens;
mod transport;
mod transport_faults;

pub(super) use self::api::Api;
pub(super) use self::request::{Request, RequestClass};
pub use self::session::SessionState;
pub use self::transport::ServerTime;
