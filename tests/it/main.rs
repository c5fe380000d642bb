//! The integration tests: everything that needs real servers, one binary, a module for each subject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; its helpers are not marked as tests"
)]

mod bad_input;
mod chart;
mod connections;
mod deletes;
mod interrupt;
mod kinds;
mod lies;
mod listings;
mod odd_answers;
mod runs;
mod schema;
mod secrets;
mod servers;
mod store_apply;
mod store_drop;
mod store_logs;
mod store_migrate;
mod store_pgbouncer;
mod store_refusals;
mod store_support;
mod store_tls;
mod tarana;
mod truth;
mod two_operators;
mod world;
mod writes;
