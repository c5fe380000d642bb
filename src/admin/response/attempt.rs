//! Pure: the attempts of a run, from its log row and, as long as it exists, the status of its object.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::span::{RowEnd, StepResponse, WaitResponse};
use super::sync::SyncPhase;
use super::time;
use crate::api::sync::{Failure, Step, TaranaSync, TaranaSyncStatus};
use crate::store::{LoggedRun, Span, SpanKind};

/// State of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum AttemptState {
    /// The attempt is in progress.
    Running,
    /// The attempt completed the run.
    Completed,
    /// The attempt failed.
    Failed,
    /// The run was cancelled during the attempt.
    Cancelled,
}

/// An attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Attempt)]
#[serde(rename_all = "camelCase")]
pub struct AttemptResponse {
    /// Number of the attempt, from 1.
    pub number: i32,
    pub state: AttemptState,
    /// When the attempt started. In runs of older versions, recorded only for the first one; a later one starts after the end of the
    /// one before and a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the attempt ended. Absent while it runs, and if the database was unavailable at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The step that failed, if it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// Reason of the failure or of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The steps, in the order in which they began. Absent in runs of older versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepResponse>,
    /// What the attempt waited for, in the order in which it began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitResponse>,
}

/// Attempts of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Attempts)]
#[serde(rename_all = "camelCase")]
pub struct AttemptList {
    /// In their order; empty if the run has not started. A restart of the operator continues the same attempt.
    pub items: Vec<AttemptResponse>,
    /// When the next attempt starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// What the run waited for before and between its attempts, in the order in which it began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitResponse>,
    /// Number of steps and waits that were not kept, because there were too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<u32>,
}

impl AttemptResponse {
    fn new(number: i32, state: AttemptState) -> Self {
        Self {
            number,
            state,
            started_at: None,
            ended_at: None,
            step: None,
            reason: None,
            message: None,
            steps: Vec::new(),
            waits: Vec::new(),
        }
    }
}

impl AttemptList {
    /// The attempts that row and status know of. The row is authoritative; the status is ahead of it if the database was
    /// unavailable.
    pub fn of(row: Option<&LoggedRun>, status: Option<&TaranaSyncStatus>) -> Self {
        let started = row.filter(|row| row.started_at.is_some());
        let by_row = started.map_or(0, |row| row.attempt);
        let by_status = status.map_or(0, |status| status.attempt);
        let mut items: Vec<_> = (1..=by_row.max(by_status))
            .map(|number| AttemptResponse::new(number, AttemptState::Failed))
            .collect();
        if let (Some(first), Some(row)) = (items.first_mut(), started) {
            first.started_at = row.started_at;
        }
        if let Some(last) = items.last_mut() {
            finish_last(last, started, status);
        }
        for failed in started.map(LoggedRun::failed_attempts).unwrap_or_default() {
            let item = items.iter_mut().find(|item| item.number == failed.number);
            // An attempt that was resumed after its failure was recorded may have completed.
            if let Some(item) = item.filter(|item| item.state != AttemptState::Completed) {
                item.state = AttemptState::Failed;
                item.ended_at = Some(failed.failed_at);
                (item.reason, item.message) = (Some(failed.reason), Some(failed.message));
            }
        }
        if let Some(failure) = status.and_then(|status| status.last_failure.as_ref()) {
            add_failure(&mut items, failure);
        }
        let mut list = Self {
            items,
            next_attempt_at: status.and_then(|status| time(status.next_attempt_time.as_ref())),
            waits: Vec::new(),
            omitted: None,
        };
        if let Some(row) = row {
            list.add_spans(row);
        }
        list
    }

    /// Adds what a pending run waits for.
    pub fn with_pending_wait(mut self, sync: Option<&TaranaSync>) -> Self {
        if self.waits.is_empty() {
            self.waits.extend(sync.and_then(WaitResponse::pending));
        }
        self
    }

    /// Adds what the row has recorded of starts, steps and waits.
    fn add_spans(&mut self, row: &LoggedRun) {
        let end = RowEnd {
            at: row.completed_at,
            failed: SyncPhase::from_row(row) == SyncPhase::Failed,
        };
        let mut spans = row.spans.clone();
        spans.sort_by_key(|span| span.started_at);
        let omitted = spans
            .iter()
            .fold(0, |sum: u32, span| sum.saturating_add(span.omitted));
        self.omitted = (omitted > 0).then_some(omitted);
        for span in spans {
            let number = span.attempt;
            match self.items.iter_mut().find(|item| Some(item.number) == number) {
                Some(item) => item.add_span(span, end),
                None if span.kind == SpanKind::Wait => self.waits.push(WaitResponse::new(span, end)),
                None => {}
            }
        }
    }
}

impl AttemptResponse {
    fn add_span(&mut self, span: Span, end: RowEnd) {
        match span.kind {
            SpanKind::Wait => self.waits.push(WaitResponse::new(span, end)),
            SpanKind::Attempt => {
                self.started_at = self.started_at.or(Some(span.started_at));
                self.ended_at = self.ended_at.or(span.ended_at);
            }
            SpanKind::Step => {
                let step = StepResponse::new(span, end);
                if step.failed && self.state == AttemptState::Failed {
                    self.step = known_step(&step.step).or(self.step);
                }
                self.steps.push(step);
            }
        }
    }
}

fn known_step(name: &str) -> Option<&'static str> {
    let all = [Step::Open, Step::Fetch, Step::Apply].map(Step::as_str);
    all.into_iter().find(|step| *step == name)
}

/// The last attempt is in the state of the run.
fn finish_last(last: &mut AttemptResponse, row: Option<&LoggedRun>, status: Option<&TaranaSyncStatus>) {
    let by_row = row.map(SyncPhase::from_row);
    let by_status = status.map(|status| SyncPhase::from(status.phase));
    last.state = match by_row.or(by_status) {
        Some(SyncPhase::Completed) => AttemptState::Completed,
        Some(SyncPhase::Cancelled) => AttemptState::Cancelled,
        Some(SyncPhase::Failed) => AttemptState::Failed,
        Some(SyncPhase::Pending | SyncPhase::Running) | None => AttemptState::Running,
    };
    if let Some(row) = row {
        last.ended_at = row.completed_at;
        (last.reason, last.message) = (row.reason.clone(), row.message.clone());
    }
}

/// Adds what only the status knows of its newest failure.
fn add_failure(items: &mut [AttemptResponse], failure: &Failure) {
    let item = items.iter_mut().find(|item| item.number == failure.attempt);
    let Some(item) = item.filter(|item| item.state != AttemptState::Completed) else {
        return;
    };
    item.step = failure.step.map(Step::as_str);
    if item.state == AttemptState::Running {
        item.state = AttemptState::Failed;
    }
    item.ended_at = item.ended_at.or(Some(failure.time.0));
    item.reason.get_or_insert_with(|| failure.reason.clone());
    item.message.get_or_insert_with(|| failure.message.clone());
}

#[cfg(test)]
mod tests;
