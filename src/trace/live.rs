//! Spans of what this process does now. Their fields are also those of the log lines within them; there is one name for each thing:
//!
//! | field | is |
//! |---|---|
//! | `namespace`, `connection`, `sync`, `schedule` | names of objects |
//! | `trace_id` | uid of the run without hyphens |
//! | `attempt`, `step` | of the run |
//! | `request_id` | of a request to the admin API |

use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::ids;

/// Target of the spans that are exported.
pub(crate) const TARGET: &str = "tarana_operator::trace";
/// The same for those that no log line shows.
pub(crate) const DETAIL_TARGET: &str = "tarana_operator::trace::detail";

/// A run, for the log lines of everything that is done for it. It is exported when it ends, from its log row.
pub fn run(namespace: &str, sync: &str, connection: &str, run: Uuid) -> Span {
    tracing::info_span!("sync", namespace, sync, connection, trace_id = %ids::trace_id(run))
}

/// A connection, for the log lines.
pub fn connection(namespace: &str, connection: &str) -> Span {
    tracing::info_span!("connection", namespace, connection)
}

/// A schedule, for the log lines.
pub fn schedule(namespace: &str, schedule: &str) -> Span {
    tracing::info_span!("schedule", namespace, schedule)
}

/// A request to the admin API, for the log lines.
pub fn admin_request(request_id: &str) -> Span {
    tracing::info_span!("request", request_id)
}

/// Fetch, of an attempt.
pub fn fetch(run: Uuid, attempt: i32) -> Span {
    let span = tracing::info_span!(target: TARGET, "Fetch", attempt, step = "Fetch");
    within_attempt(span, run, attempt)
}

/// Apply, of an attempt.
pub fn apply(run: Uuid, attempt: i32) -> Span {
    let span = tracing::info_span!(target: TARGET, "Apply", attempt, step = "Apply");
    within_attempt(span, run, attempt)
}

fn within_attempt(span: Span, run: Uuid, attempt: i32) -> Span {
    // Fails only if nothing is exported.
    let _ = span.set_parent(ids::child_of(run, ids::attempt_id(run, attempt)));
    span
}

/// A part of the step around it; nothing outside of a step.
pub fn operation(name: &'static str) -> Span {
    if !is_in_step() {
        return Span::none();
    }
    tracing::info_span!(target: DETAIL_TARGET, "operation", otel.name = name)
}

/// A request to the vendor's API within a step, such as `GET /api/tcs/v1/users`; nothing outside of a step, as in a probe.
pub fn vendor_request(name: &str) -> Span {
    if !is_in_step() {
        return Span::none();
    }
    tracing::info_span!(
        target: DETAIL_TARGET,
        "vendor_request",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// The status of the answer to a request.
pub fn answered(request: &Span, status: u16) {
    request.record("http.response.status_code", status);
}

/// The request failed for this reason.
pub fn failed(request: &Span, reason: &str) {
    request.record("error.type", reason);
    request.record("otel.status_code", "ERROR");
}

fn is_in_step() -> bool {
    let current = Span::current();
    current.metadata().is_some_and(|span| span.target() == TARGET)
}
