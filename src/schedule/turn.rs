//! Pure: what a schedule does next, as a function of what is seen. One effect at a time; each leaves a status in which it
//! is not asked for again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::child;
use super::history::{self, phase};
use super::status::{Told, View};
use crate::api::schedule::ConcurrencyPolicy;
use crate::api::sync::TaranaSync;

/// The longest sleep: a clock that is set forward is noticed within this.
const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write the status.
    Tell(Box<Told>),
    /// Create the run that this value of the annotation asks for.
    Request(String),
    /// Create the run of a slot; and the newest one that was missed before it.
    Start(Timestamp, Option<Timestamp>),
    /// Cancel an active run, so that another can take its place.
    Cancel(Arc<TaranaSync>),
    /// Delete a run that the history has no room for.
    Tidy(Arc<TaranaSync>),
    /// Nothing, until something changes or this time has passed.
    Rest(Option<SignedDuration>),
}

/// Decides.
pub fn decide(view: &View<'_>) -> Action {
    if view.schedule.metadata.deletion_timestamp.is_some() {
        return Action::Rest(None);
    }
    let not_before = view.not_before();
    let known = view.schedule.status.as_ref();
    if known.and_then(|s| s.not_before.as_ref()).map(|t| t.0) != Some(not_before) {
        return Action::Tell(Box::new(view.mirror()));
    }
    if let Some(value) = view.request() {
        return Action::Request(value.to_owned());
    }
    let due = view.due(not_before);
    let on_slot = due.as_ref().and_then(|due| match (due.start, due.missed) {
        (Some(slot), missed) => start(view, slot, missed),
        (None, Some(slot)) => Some(Action::Tell(Box::new(view.missed(slot)))),
        (None, None) => None,
    });
    on_slot
        .or_else(|| tell(view))
        .or_else(|| tidy(view))
        .unwrap_or_else(|| {
            let left = |again: Timestamp| {
                again
                    .duration_since(view.now)
                    .clamp(SignedDuration::ZERO, LONGEST)
            };
            Action::Rest(due.and_then(|due| due.again).map(left))
        })
}

/// What a slot brings; nothing while it waits for a run that is to make room.
fn start(view: &View<'_>, slot: Timestamp, missed: Option<Timestamp>) -> Option<Action> {
    let active = history::active(view.runs);
    let own = child::of_slot(view.schedule, slot).name_any();
    // Whoever created it may have died before it could say so.
    if active.is_empty() || view.runs.iter().any(|run| run.name_any() == own) {
        return Some(Action::Start(slot, missed));
    }
    match view.schedule.spec.concurrency_policy {
        ConcurrencyPolicy::Forbid => Some(Action::Tell(Box::new(view.skipped(slot, &active)))),
        ConcurrencyPolicy::Replace => {
            let in_the_way = |run: &&Arc<TaranaSync>| {
                !phase(run).is_final() && !run.spec.cancel && run.metadata.deletion_timestamp.is_none()
            };
            let run = view.runs.iter().find(in_the_way)?;
            Some(Action::Cancel(Arc::clone(run)))
        }
    }
}

fn tell(view: &View<'_>) -> Option<Action> {
    let told = view.mirror();
    (view.schedule.status.as_ref() != Some(&told.status)).then(|| Action::Tell(Box::new(told)))
}

fn tidy(view: &View<'_>) -> Option<Action> {
    history::excess(view.schedule, view.runs).map(|run| Action::Tidy(Arc::clone(run)))
}

#[cfg(test)]
mod tests;
