//! Pure: the next action for a schedule, as a function of what was observed. Each action has one effect, and leaves a status
//! that does not require it again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::history::{self, phase};
use super::observed::Observed;
use super::run_template;
use super::status::StatusWithEvents;
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::TaranaSync;

/// Maximum requeue interval: a clock that is set forward is noticed within this time.
const MAX_REQUEUE: SignedDuration = SignedDuration::from_mins(1);

/// The next action.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the status and publish its Events.
    UpdateStatus(Box<StatusWithEvents>),
    /// Create the run that this value of the trigger annotation requests.
    RunNow(String),
    /// Create the run of a slot. Also the newest slot that was missed before it.
    StartSlot(Timestamp, Option<Timestamp>),
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
    let recorded = observed.status().and_then(|s| s.not_before.as_ref());
    if recorded.map(|t| t.0) != Some(not_before) {
        return Action::UpdateStatus(Box::new(observed.current_status()));
    }
    if let Some(value) = observed.pending_request() {
        return Action::RunNow(value.to_owned());
    }
    let due = observed.due_slots(not_before);
    let for_slot = due.as_ref().and_then(|due| match (due.start, due.missed) {
        (Some(slot), missed) => start_slot(observed, slot, missed),
        (None, Some(slot)) => Some(Action::UpdateStatus(Box::new(observed.slot_missed(slot)))),
        (None, None) => None,
    });
    for_slot
        .or_else(|| update_status(observed))
        .or_else(|| delete_excess(observed))
        .unwrap_or_else(|| match due.and_then(|due| due.requeue_at) {
            Some(time) => Action::Requeue(
                time.duration_since(observed.now)
                    .clamp(SignedDuration::ZERO, MAX_REQUEUE),
            ),
            None => Action::AwaitChange,
        })
}

/// The action for a due slot; `None` while a cancelled run has not ended yet.
fn start_slot(observed: &Observed<'_>, slot: Timestamp, missed: Option<Timestamp>) -> Option<Action> {
    let active = history::active_names(observed.runs);
    let name = run_template::run_for_slot(observed.schedule, slot).name_any();
    // The run of the slot may exist already (crash between create and status).
    if active.is_empty() || observed.runs.iter().any(|run| run.name_any() == name) {
        return Some(Action::StartSlot(slot, missed));
    }
    match observed.schedule.spec.concurrency_policy {
        ConcurrencyPolicy::Forbid => Some(Action::UpdateStatus(Box::new(
            observed.slot_skipped(slot, &active),
        ))),
        ConcurrencyPolicy::Replace => {
            let is_cancellable = |run: &&Arc<TaranaSync>| {
                !phase(run).is_final() && !run.spec.cancel && run.metadata.deletion_timestamp.is_none()
            };
            let run = observed.runs.iter().find(is_cancellable)?;
            Some(Action::Cancel(Arc::clone(run)))
        }
    }
}

fn update_status(observed: &Observed<'_>) -> Option<Action> {
    let update = observed.current_status();
    (observed.status() != Some(&update.status)).then(|| Action::UpdateStatus(Box::new(update)))
}

fn delete_excess(observed: &Observed<'_>) -> Option<Action> {
    history::run_beyond_limit(observed.schedule, observed.runs).map(|run| Action::Delete(Arc::clone(run)))
}

#[cfg(test)]
mod tests;
