//! Pure: the attempts of a run, from its log row and, as long as it exists, the status of its object.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::sync::{SyncPhase, step};
use super::time;
use crate::api::sync::{Failure, TaranaSyncStatus};
use crate::store::LoggedRun;

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
    /// When the attempt started. Recorded only for the first one; a later one starts after the end of the one before and a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the attempt ended. Absent while it runs, and if the database was unavailable at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The step that failed, if the status of the object still has this failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// Reason of the failure or of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
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
        Self {
            items,
            next_attempt_at: status.and_then(|status| time(status.next_attempt_time.as_ref())),
        }
    }
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
    item.step = failure.step.map(step);
    if item.state == AttemptState::Running {
        item.state = AttemptState::Failed;
    }
    item.ended_at = item.ended_at.or(Some(failure.time.0));
    item.reason.get_or_insert_with(|| failure.reason.clone());
    item.message.get_or_insert_with(|| failure.message.clone());
}

#[cfg(test)]
mod tests;
