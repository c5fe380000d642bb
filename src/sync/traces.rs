//! The trace of a run that has ended: what its log row records, and how it ended.

use std::time::{Instant, SystemTime};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tracing::Span;
use uuid::Uuid;

use super::clock::now;
use super::run::SyncRun;
use super::status::RunResult;
use crate::api::sync::{Phase, Step};
use crate::store::{self, SpanKind};
use crate::trace::{self, RecordedKind, RecordedRun, RecordedSpan};

impl SyncRun<'_> {
    /// The span of a step of the attempt in the status.
    pub(super) fn step_span(&self, span: fn(Uuid, i32) -> Span) -> Span {
        span(self.run_uid(), self.status().attempt)
    }

    /// Exports the run with its attempts and waits. Fetch and Apply have spans of their own.
    pub(super) fn export_trace(&self, result: &RunResult) {
        let ended = now();
        let spans = self.context.read_state(&self.uid, |state| {
            let recorder = state.spans.as_ref();
            recorder.map(|recorder| recorder.by_clock_of(Instant::now(), ended))
        });
        let spans = spans.unwrap_or_default();
        let status = self.status();
        let began = spans.iter().map(|span| span.started_at).min();
        let began = began.or(status.start_time.map(|time| time.0)).unwrap_or(ended);
        let spec = &self.sync().spec;
        let mut attributes = vec![
            ("namespace", self.connection.namespace.clone()),
            ("sync", self.sync().name_any()),
            ("connection", self.connection.name.clone()),
            ("trigger", spec.trigger.type_.as_str().to_owned()),
            ("outcome", result.phase.as_str().to_owned()),
            ("reason", result.reason.as_str().to_owned()),
        ];
        if spec.dry_run {
            attributes.push(("dry_run", true.to_string()));
        }
        trace::export(RecordedRun {
            run: self.run_uid(),
            period: (began.into(), ended.into()),
            attributes,
            counts: result.counts.map_or_else(Vec::new, |counts| {
                vec![
                    ("fetched", counts.fetched),
                    ("inserted", counts.inserted),
                    ("updated", counts.updated),
                    ("deleted", counts.deleted),
                    ("skipped", counts.skipped),
                    ("withheld", counts.withheld),
                ]
            }),
            failure: (result.phase != Phase::Completed).then(|| result.message.clone()),
            spans: spans.iter().filter_map(|span| recorded(span, ended)).collect(),
        });
    }

    pub(super) fn run_uid(&self) -> Uuid {
        self.uid.parse().unwrap_or_default()
    }
}

/// `None` for the steps that have live spans.
fn recorded(span: &store::Span, ended: Timestamp) -> Option<RecordedSpan> {
    let kind = match (span.kind, &span.step) {
        (SpanKind::Attempt, _) => RecordedKind::Attempt,
        (SpanKind::Wait, _) => RecordedKind::Wait,
        (SpanKind::Step, Some(step)) if step == Step::Open.as_str() => RecordedKind::Step(step.clone()),
        (SpanKind::Step, _) => return None,
    };
    let cause = span.cause.map(|cause| ("cause", cause.as_str().to_owned()));
    let detail = span.detail.clone().map(|detail| ("detail", detail));
    let period: (SystemTime, SystemTime) = (span.started_at.into(), span.ended_at.unwrap_or(ended).into());
    Some(RecordedSpan {
        kind,
        attempt: span.attempt,
        period,
        failed: span.failed,
        attributes: cause.into_iter().chain(detail).collect(),
    })
}
