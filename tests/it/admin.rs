//! The admin API as its callers meet it: over HTTP, with tokens of the real API server.

mod bad;
mod desk;
mod matrix;
mod old;
mod stations;
mod syncs;
