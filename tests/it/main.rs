//! The integration tests: everything that needs real servers, one binary, a module for each subject.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; its helpers are not marked as tests"
)]

mod admin;
mod bad_input;
mod chart;
mod connections;
mod deletes;
mod interrupt;
mod kinds;
mod least_run;
mod lies;
mod listings;
mod matrix;
mod odd_answers;
mod program;
mod runs;
mod schedules;
mod schema;
mod secrets;
mod servers;
mod soak;
mod store_apply;
mod store_changes;
mod store_drop;
mod store_least;
mod store_logs;
mod store_migrate;
mod store_outages;
mod store_pgbouncer;
mod store_refusals;
mod store_servers;
mod store_silence;
mod store_support;
mod store_tls;
mod tarana;
mod truth;
mod two_operators;
mod wired;
mod world;
mod writes;
