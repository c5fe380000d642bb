//! Logs: one line an event on standard error, as text or JSON, filtered by `--log`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging. `filter` is a `tracing` filter such as `info` or `info,tarana_operator=debug`; one that cannot be
/// read is an error that says where.
pub fn start(filter: &str, format: Format) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| format!("--log {filter:?} is not a log filter: {e}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        Format::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| format!("logging could not be started: {e}"))
}
