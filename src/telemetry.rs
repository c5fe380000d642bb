//! Logging: one line per event on standard error, as text or JSON, filtered by `--log`.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// This target logs the text of a response that it cannot parse, at level `warn`; the response may be a Secret. The caller
/// gets the error too and logs it without the text.
const LEAKY_TARGET: &str = "kube_client::client";
/// This target logs every request of a failing watch that is forbidden. The watch caches log when a watch starts failing.
const REPEATING_TARGET: &str = "kube_runtime::watcher";
/// These crates log bytes of requests and responses, headers and rows included, at level `trace`.
const WIRE_CRATES: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx"];

/// Format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. `filter` is a `tracing` filter such as `info` or `info,tarana_operator=debug`. Whatever it selects, events
/// that could contain a secret are dropped.
pub fn start(filter: &str, format: Format) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| format!("--log {filter:?} is not a log filter: {e}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let selected = filter_fn(|event: &Metadata<'_>| {
        is_safe_to_log(event.target(), *event.level())
            && !(event.target() == REPEATING_TARGET && *event.level() == Level::WARN)
    });
    let started = match format {
        Format::Text => {
            let ansi = std::io::stderr().is_terminal();
            logs.with_ansi(ansi).finish().with(selected).try_init()
        }
        Format::Json => logs.json().flatten_event(true).finish().with(selected).try_init(),
    };
    started.map_err(|e| format!("logging could not be started: {e}"))
}

/// Whether events of a target at a level never contain a secret.
fn is_safe_to_log(target: &str, level: Level) -> bool {
    let is_in = |crate_name: &str| {
        target
            .strip_prefix(crate_name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let is_wire = WIRE_CRATES.iter().any(|name| is_in(name)) || target.starts_with("sqlx_");
    target != LEAKY_TARGET && !(is_wire && level == Level::TRACE)
}

#[cfg(test)]
mod tests {
    use super::{Level, is_safe_to_log};

    #[test]
    fn events_that_could_contain_a_secret_are_dropped() {
        for (target, level, safe) in [
            ("kube_client::client", Level::WARN, false),
            ("kube_client::client", Level::ERROR, false),
            ("kube_client::client::builder", Level::DEBUG, true),
            ("kube_runtime::watcher", Level::TRACE, true),
            ("h2::codec::framed_write", Level::TRACE, false),
            ("hyper", Level::TRACE, false),
            ("hyper_util::client::legacy::pool", Level::TRACE, false),
            ("hyper_util::client::legacy::pool", Level::DEBUG, true),
            ("sqlx_postgres::connection", Level::TRACE, false),
            ("sqlx::query", Level::TRACE, false),
            ("rustls::client::hs", Level::WARN, true),
            ("tarana_operator::sync", Level::TRACE, true),
            ("h2o", Level::TRACE, true),
        ] {
            assert_eq!(is_safe_to_log(target, level), safe, "{target} at {level}");
        }
    }
}
