//! Really starts the servers: the first run on a machine builds them, which takes minutes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy's exception for tests does not reach"
)]

mod control_plane;
mod leftovers;
mod postgres;
