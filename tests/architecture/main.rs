//! The architecture test: rules that the compiler does not check. It needs no server.
//!
//! Each rule is a pure function from texts to violations, and has a unit test with a bad sample.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test binary: a file that cannot be read fails the test"
)]

mod chart;
mod cycles;
mod faults;
mod files;
mod imports;
mod ladder;
mod lexer;
mod packaging;
mod purity;
mod readmes;
mod size;
mod tour;

/// The ladder, highest rung first: a module imports only modules on lower rungs, and itself. `main` is above all; it is a
/// crate of its own.
pub const RUNGS: &[&[&str]] = &[
    &["doctor"],
    &["operator", "fuzzing", "uninstall"],
    &["cli"],
    &["sync", "schedule", "admin", "delivery"],
    &["connection", "monitoring"],
    &[
        "tarana",
        "store",
        "notify",
        "webhook",
        "leader",
        "telemetry",
        "cluster",
    ],
    &["metrics", "trace", "listener"],
    &["fault", "tls"],
    &["api", "station", "certificates", "cron"],
];

/// Exceptions: modules that may not be imported although they are lower. These use `Reason` through `fault`.
pub const FORBIDDEN: &[(&str, &str)] = &[("tarana", "api"), ("store", "api")];

/// Maximum number of lines of code of a file.
pub const FILE_LIMIT: usize = 400;
/// Maximum number of lines of code of a function.
pub const FUNCTION_LIMIT: usize = 60;

/// Banned crates: there is one TLS provider (rustls with ring), and no dependency on a C library of the system.
pub const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"];

/// Fails with all violations, one per line.
fn assert_no_violations(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
