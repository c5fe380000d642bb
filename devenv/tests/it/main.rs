//! Integration tests that start the real servers. The first run on a machine builds them, which takes minutes.

#![expect(
    clippy::unwrap_used,
    reason = "test helpers are not covered by clippy's exception for tests"
)]

mod control_plane;
mod leftovers;
mod postgres;
