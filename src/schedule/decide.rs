//! Pure: the next action for a schedule, as a function of what was observed. Each action has one effect, and leaves a status
//! that does not require it again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::history;
use super::observed::Observed;
use super::run_template;
use super::status::StatusWithEvents;
use super::trigger::{self, TriggerRequest};
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::TaranaSync;

/// Maximum requeue interval: a clock that is set forward is noticed within this time.
const MAX_REQUEUE: SignedDuration = SignedDuration::from_mins(1);

/// The next action.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the status and publish its Events.
    UpdateStatus(Box<StatusWithEvents>),
    /// Create the run that the trigger annotation requests.
    RunNow(TriggerRequest),
    /// Create the run of a slot.
    StartSlot(Timestamp),
    /// Cancel an active run, so that another can replace it.
    Cancel(Arc<TaranaSync>),
    /// Delete a run that exceeds a history limit.
    Delete(Arc<TaranaSync>),
    /// Reconcile again after this time, or when something changes.
    Requeue(SignedDuration),
    /// Reconcile again when something changes.
    AwaitChange,
}

/// Decides on the next action.
pub fn decide(observed: &Observed<'_>) -> Action {
    if observed.schedule.metadata.deletion_timestamp.is_some() {
        return Action::AwaitChange;
    }
    let not_before = observed.not_before();
    let recorded = observed.own_status().and_then(|s| s.not_before.as_ref());
    if recorded.map(|t| t.0) != Some(not_before) {
        return Action::UpdateStatus(Box::new(observed.current_status()));
    }
    if let Some(value) = observed.pending_request() {
        return match trigger::parse(value) {
            Ok(request) => Action::RunNow(request),
            Err(invalid) => Action::UpdateStatus(Box::new(observed.request_invalid(value, &invalid))),
        };
    }
    let due = observed.due_slots(not_before);
    let pause = observed
        .refusal_of_due_slot(not_before)
        .map(|refusal| refusal.retry_in)
        .filter(|pause| !pause.is_zero());
    let for_slot = due.as_ref().and_then(|due| {
        // Lost slots are recorded first, whatever becomes of the slot that starts now.
        if due.lost.is_empty() {
            let slot = due.start.filter(|_| pause.is_none())?;
            start_slot(observed, slot)
        } else {
            Some(Action::UpdateStatus(Box::new(observed.slots_lost(&due.lost))))
        }
    });
    for_slot
        .or_else(|| update_status(observed))
        .or_else(|| delete_excess(observed))
        .unwrap_or_else(|| {
            let next = due
                .and_then(|due| due.requeue_at)
                .map(|t| t.duration_since(observed.now));
            match next.into_iter().chain(pause).min() {
                Some(after) => Action::Requeue(after.clamp(SignedDuration::ZERO, MAX_REQUEUE)),
                None => Action::AwaitChange,
            }
        })
}

/// The action for a due slot; `None` while a cancelled run has not ended yet.
fn start_slot(observed: &Observed<'_>, slot: Timestamp) -> Option<Action> {
    let active = history::active_slot_runs(observed.runs);
    let name = run_template::slot_run_name(observed.schedule, slot);
    // The run of the slot may exist already (crash between create and status).
    if active.is_empty() || observed.runs.iter().any(|run| run.name_any() == name) {
        return Some(Action::StartSlot(slot));
    }
    match observed.schedule.spec.concurrency_policy {
        ConcurrencyPolicy::Forbid => Some(Action::UpdateStatus(Box::new(
            observed.slot_skipped(slot, &active),
        ))),
        ConcurrencyPolicy::Replace => {
            let is_cancellable =
                |run: &&&Arc<TaranaSync>| !run.spec.cancel && run.metadata.deletion_timestamp.is_none();
            let run = active.iter().find(is_cancellable)?;
            Some(Action::Cancel(Arc::clone(run)))
        }
    }
}

fn update_status(observed: &Observed<'_>) -> Option<Action> {
    let update = observed.current_status();
    if observed.status() == Some(&update.status) {
        return None;
    }
    // A suspended schedule records its slots only together with another change: an idle operator writes nothing.
    let suspended = observed.suspended_slots();
    let update = if suspended.is_empty() {
        update
    } else {
        observed.slots_lost(&suspended)
    };
    Some(Action::UpdateStatus(Box::new(update)))
}

fn delete_excess(observed: &Observed<'_>) -> Option<Action> {
    history::run_beyond_limit(observed.schedule, observed.runs).map(|run| Action::Delete(Arc::clone(run)))
}

#[cfg(test)]
mod tests;
