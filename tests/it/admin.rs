//! The admin API over HTTP, with tokens of the real API server.

mod authorization;
mod client;
mod errors;
mod events;
mod legacy;
mod stations;
mod syncs;
