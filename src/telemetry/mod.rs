#![doc = include_str!("README.md")]

mod json;
mod safety;

use std::io::IsTerminal;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::trace::{live, notices};

/// Format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging, and hands spans to `tracer` if there is one. `filter` is a `tracing` filter such as `info` or
/// `info,tarana_operator=debug`. Whatever it selects, events that could contain a secret are dropped.
pub fn start(filter: &str, format: Format, tracer: Option<SdkTracer>) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| format!("--log {filter:?} is not a log filter: {e}"))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(json::FlatJson)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(tracer.map(export))
        .with(notices::layer())
        .with(
            lines
                .with_filter(filter)
                .with_filter(filter_fn(safety::is_selected)),
        )
        .try_init();
    started.map_err(|e| format!("logging could not be started: {e}"))
}

/// Exports the spans of [`live`], and what is logged within them. The filter of the log lines does not concern them.
fn export<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: SdkTracer) -> impl Layer<S> {
    let is_exported = |metadata: &Metadata<'_>| {
        if metadata.is_span() {
            [live::TARGET, live::DETAIL_TARGET].contains(&metadata.target())
        } else {
            metadata.target().starts_with("tarana_operator") && *metadata.level() <= Level::INFO
        }
    };
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported))
}
