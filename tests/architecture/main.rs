//! The architecture test: walls that no compiler holds. It needs no server.
//!
//! Every wall is a plain function from texts to complaints, and has a unit test on a bad sample: a wall that cannot fail is no wall.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test binary: a file that cannot be read fails the test"
)]

mod chart;
mod faults;
mod files;
mod ladder;
mod lexer;
mod packaging;
mod purity;
mod readmes;
mod size;
mod tour;

/// The ladder, highest rung first: a module names only modules on rungs strictly below its own (and itself).
/// `main` stands above all; it is a crate of its own.
pub const RUNGS: &[&[&str]] = &[
    &["operator", "fuzzing"],
    &["cli"],
    &["sync", "schedule", "admin"],
    &["connection"],
    &["tarana", "store", "notify", "leader", "telemetry", "cluster"],
    &["fault"],
    &["api", "station"],
];

/// What stands below and may not be named all the same: these take `Reason` through `fault`.
pub const FORBIDDEN: &[(&str, &str)] = &[("tarana", "api"), ("store", "api")];

/// Most lines of code that a file may hold.
pub const FILE_LIMIT: usize = 400;
/// Most lines of code that a function may hold.
pub const FUNCTION_LIMIT: usize = 60;

/// Crates that may not be in the tree: one TLS provider (rustls on ring), and none that takes a C library of the system.
pub const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"];

/// Fails with every complaint, one a line.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
