//! Exports what was recorded of a run, when it has ended.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanBuilder, SpanId, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use uuid::Uuid;

use super::{ids, provider};

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    /// Uid of the run.
    pub run: Uuid,
    /// From its first span to its end, by this machine's clock.
    pub period: (SystemTime, SystemTime),
    /// Names and values of what is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// Counts of its records.
    pub counts: Vec<(&'static str, i64)>,
    /// Why it failed; `None` if it completed.
    pub failure: Option<String>,
    /// Its attempts, waits and first steps.
    pub spans: Vec<RecordedSpan>,
}

/// A part of a run.
#[derive(Clone, Debug)]
pub struct RecordedSpan {
    /// What it is.
    pub kind: RecordedKind,
    /// The attempt that it is, or is part of.
    pub attempt: Option<i32>,
    /// Beginning and end.
    pub period: (SystemTime, SystemTime),
    /// Whether it failed.
    pub failed: bool,
    /// More about it.
    pub attributes: Vec<(&'static str, String)>,
}

/// What a recorded span is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedKind {
    /// An attempt.
    Attempt,
    /// A step that has no live span.
    Step(String),
    /// A wait.
    Wait,
}

/// Exports the run and its parts.
pub fn export(recorded: RecordedRun) {
    let run = recorded.run;
    let attributes = recorded
        .attributes
        .into_iter()
        .map(|(name, value)| KeyValue::new(name, value));
    let counts = recorded
        .counts
        .into_iter()
        .map(|(name, count)| KeyValue::new(name, count));
    let builder =
        SpanBuilder::from_name("TaranaSync").with_attributes(attributes.chain(counts).collect::<Vec<_>>());
    let failure = recorded.failure.map(Status::error);
    start(
        builder,
        (run, Some(ids::run_id(run))),
        None,
        recorded.period,
        failure,
    );
    for span in recorded.spans {
        export_part(run, span);
    }
}

fn export_part(run: Uuid, span: RecordedSpan) {
    let (name, id, parent) = match (span.kind, span.attempt) {
        (RecordedKind::Attempt, Some(attempt)) => (
            format!("attempt {attempt}"),
            Some(ids::attempt_id(run, attempt)),
            None,
        ),
        (RecordedKind::Attempt, None) => return,
        (RecordedKind::Step(step), attempt) => (step, None, attempt),
        (RecordedKind::Wait, attempt) => ("wait".to_owned(), None, attempt),
    };
    let parent = parent.map_or_else(|| ids::run_id(run), |attempt| ids::attempt_id(run, attempt));
    let attempt = span
        .attempt
        .map(|attempt| KeyValue::new("attempt", i64::from(attempt)));
    let attributes = span
        .attributes
        .into_iter()
        .map(|(name, value)| KeyValue::new(name, value));
    let builder = SpanBuilder::from_name(name).with_attributes(attributes.chain(attempt).collect::<Vec<_>>());
    let failure = span.failed.then(|| Status::error(""));
    start(builder, (run, id), Some(parent), span.period, failure);
}

fn start(
    builder: SpanBuilder,
    (run, id): (Uuid, Option<SpanId>),
    parent: Option<SpanId>,
    (began, ended): (SystemTime, SystemTime),
    failure: Option<Status>,
) {
    let context = parent.map_or_else(Context::new, |parent| ids::child_of(run, parent));
    let builder = builder.with_start_time(began);
    let build = || provider::tracer().build_with_context(builder, &context);
    let mut span = match id {
        Some(id) => provider::with_ids((ids::trace_id(run), id), build),
        None => build(),
    };
    if let Some(failure) = failure {
        span.set_status(failure);
    }
    span.end_with_timestamp(ended.max(began));
}
