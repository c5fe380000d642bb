//! Pure: which events may be logged and exported.

use tracing::{Level, Metadata};

use crate::trace::{live, notices};

/// This target logs the text of a response that it cannot parse, at level `warn`; the response may be a Secret. The caller
/// gets the error too and logs it without the text.
const LEAKY_TARGET: &str = "kube_client::client";
/// This target logs every request of a failing watch that is forbidden. The watch caches log when a watch starts failing.
const REPEATING_TARGET: &str = "kube_runtime::watcher";
/// These crates log bytes of requests and responses, headers and rows included, at level `trace`.
const WIRE_CRATES: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx"];
/// These crates log the headers for the collector, which may have a token, below level `warn`.
const EXPORTER_CRATES: [&str; 3] = ["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp"];

/// Whether a log line may show an event or span, whatever the filter of the user says.
pub(super) fn is_selected(metadata: &Metadata<'_>) -> bool {
    metadata.target() != live::DETAIL_TARGET
        && is_safe_to_log(metadata.target(), *metadata.level())
        && !(metadata.target() == REPEATING_TARGET && *metadata.level() == Level::WARN)
}

/// Whether events of a target at a level never contain a secret.
fn is_safe_to_log(target: &str, level: Level) -> bool {
    let is_in = |crate_name: &str| {
        target
            .strip_prefix(crate_name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let is_wire = WIRE_CRATES.iter().any(|name| is_in(name)) || target.starts_with("sqlx_");
    let is_exporter = EXPORTER_CRATES.iter().any(|name| is_in(name));
    // Messages of triggers can contain rows.
    let is_leaky = [LEAKY_TARGET, notices::TARGET].contains(&target);
    !(is_leaky || (is_wire && level == Level::TRACE) || (is_exporter && level > Level::WARN))
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
            ("sqlx::postgres::notice", Level::WARN, false),
            ("rustls::client::hs", Level::WARN, true),
            ("opentelemetry_sdk", Level::ERROR, true),
            ("opentelemetry_sdk", Level::DEBUG, false),
            ("opentelemetry_otlp::exporter", Level::INFO, false),
            ("tarana_operator::sync", Level::TRACE, true),
            ("h2o", Level::TRACE, true),
        ] {
            assert_eq!(is_safe_to_log(target, level), safe, "{target} at {level}");
        }
    }
}
