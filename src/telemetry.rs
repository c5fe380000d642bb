//! Logs: one line an event on standard error, as text or JSON, filtered by `--log`.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs the whole text of an answer that it cannot read, as a warning; the answer may be a Secret. The error itself
/// comes back to the caller, which logs it without the text.
const TELLS_ALL: &str = "kube_client::client";
/// Those that have bytes of requests and answers in hand, headers and rows among them, and tell of them at `trace`.
const WIRES: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx"];

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging. `filter` is a `tracing` filter such as `info` or `info,tarana_operator=debug`; one that cannot be
/// read is an error that says where. Whatever it asks for, places that could show a secret stay silent.
pub fn start(filter: &str, format: Format) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| format!("--log {filter:?} is not a log filter: {e}"))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let discreet = filter_fn(|of: &Metadata<'_>| is_discreet(of.target(), *of.level()));
    let started = match format {
        Format::Text => {
            let ansi = std::io::stderr().is_terminal();
            logs.with_ansi(ansi).finish().with(discreet).try_init()
        }
        Format::Json => logs.json().flatten_event(true).finish().with(discreet).try_init(),
    };
    started.map_err(|e| format!("logging could not be started: {e}"))
}

/// Whether what a place logs at a level can hold no secret.
fn is_discreet(target: &str, level: Level) -> bool {
    let of = |part: &str| {
        target
            .strip_prefix(part)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let wire = WIRES.iter().any(|part| of(part)) || target.starts_with("sqlx_");
    target != TELLS_ALL && !(wire && level == Level::TRACE)
}

#[cfg(test)]
mod tests {
    use super::{Level, is_discreet};

    #[test]
    fn what_could_show_a_secret_is_silent() {
        for (target, level, discreet) in [
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
            assert_eq!(is_discreet(target, level), discreet, "{target} at {level}");
        }
    }
}
