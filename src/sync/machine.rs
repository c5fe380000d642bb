//! Pure: the state machine of a run. No I/O, no clock, no client.
//!
//! [`decide`] is a function of the object, its gate, the state of this process and the time. [`retry_decision`] is the one
//! place where a fault becomes a retry or the end. A failure is a value like any other: nothing returns early.
//!
//! ```text
//! Pending ──(gate open)──▶ Running: Open → Fetch → Apply ──▶ Completed ──▶ Finalize
//! Running ──transient fault, attempts left──▶ Running (no step, nextAttemptTime) ──▶ Open
//! Running ──permanent fault | attempts exhausted | deadline──▶ Failed ──▶ Finalize
//! any active phase ──cancel or delete──▶ Cancelled ──▶ Finalize
//! ```

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync, TaranaSyncSpec, TaranaSyncStatus};
use crate::fault::Fault;

/// Finalizer on runs that have started: the log row is closed before the object is deleted.
pub const FINALIZER: &str = "tarana.dev/run";

/// Message of the end of a run whose object was deleted.
pub const OBJECT_DELETED: &str = "its object was deleted";

/// How long after the deadline a run waits for its log row to be closed before it ends without it.
const CLOSE_GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Requeue interval at a blocked gate, in case no change triggers a reconcile.
const GATE_RECHECK: SignedDuration = SignedDuration::from_secs(15);
/// The same for a run in the queue.
const QUEUE_RECHECK: SignedDuration = SignedDuration::from_mins(1);

/// Whether a run may continue, according to its connection and the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may continue.
    Open,
    /// It waits, for this reason.
    Blocked(Fault),
    /// It cannot continue and fails with this fault.
    Rejected(Fault),
}

/// How far this process has come with an attempt. A new process owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptState {
    /// It has no fence: an active attempt was started by another process.
    NotOwned,
    /// It has a fence.
    Opened,
    /// It has a fence and the complete listing.
    Fetched,
}

/// What a reconcile observes.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object.
    pub sync: &'a TaranaSync,
    /// Its gate.
    pub gate: &'a Gate,
    /// How far this process has come with the attempt.
    pub attempt: AttemptState,
    /// An end that this process decided on and could not carry out yet.
    pub pending_end: Option<&'a Termination>,
    /// The time.
    pub now: Timestamp,
}

/// The end of a run without a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// `Failed` or `Cancelled`.
    pub phase: Phase,
    /// Reason of the conditions.
    pub reason: Reason,
    /// Message of the conditions.
    pub message: String,
    /// Until then the log row must be closed first: it may show a commit whose answer was lost.
    pub row_close_deadline: Option<Timestamp>,
}

/// The one effect of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing until this time has passed or the object changes.
    Requeue(SignedDuration),
    /// Nothing until the object changes.
    AwaitChange,
    /// Add the finalizer.
    AddFinalizer,
    /// Record why the run does not continue, and reconcile again after a while.
    Wait(Fault, SignedDuration),
    /// Start the attempt, or (resumed) take it over under a new fence.
    Open {
        /// Number of the attempt, from 1.
        attempt: i32,
        /// Whether another process had started it.
        resumed: bool,
    },
    /// Read the listing.
    Fetch,
    /// Write the difference.
    Apply,
    /// Close the log row and record the end.
    Terminate(Termination),
    /// Publish the final Events and remove the finalizer.
    Finalize,
    /// Update `observedGeneration` of a finished run.
    ObserveGeneration,
    /// Delete the object after its time to live.
    Delete,
}

/// What happens to a run after a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Another attempt at this time.
    Retry(Timestamp),
    /// The end of the run.
    Terminate(Termination),
}

/// Whether the deletion of the object waits for its operator.
pub fn has_finalizer(sync: &TaranaSync) -> bool {
    let finalizers = sync.metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == FINALIZER)
}

/// Decides what the reconcile does.
pub fn decide(observed: Observed<'_>) -> Action {
    let Observed { sync, now, .. } = observed;
    let status = sync.status.clone().unwrap_or_default();
    let has_finalizer = has_finalizer(sync);
    let deleting = sync.metadata.deletion_timestamp.is_some();
    if status.phase.is_final() {
        return if has_finalizer {
            Action::Finalize
        } else {
            after_end(sync, &status, deleting, now)
        };
    }
    if deleting && !has_finalizer {
        return Action::AwaitChange;
    }
    if deleting || sync.spec.cancel {
        return Action::Terminate(cancelled(sync, &status, deleting));
    }
    if let Some(end) = observed.pending_end {
        return Action::Terminate(end.clone());
    }
    let action = match status.phase {
        Phase::Pending => decide_pending(observed),
        _ => decide_running(observed, &status),
    };
    // Not before: a run that waits can be deleted while no operator runs.
    match action {
        Action::Open { .. } if !has_finalizer => Action::AddFinalizer,
        action => action,
    }
}

/// Whether nothing is left to do unless the object changes.
pub fn is_settled(sync: &TaranaSync, now: Timestamp) -> bool {
    // The decision to await a change does not depend on gate, attempt or pending end.
    let observed = Observed {
        sync,
        gate: &Gate::Open,
        attempt: AttemptState::NotOwned,
        pending_end: None,
        now,
    };
    decide(observed) == Action::AwaitChange
}

fn decide_pending(observed: Observed<'_>) -> Action {
    match observed.gate {
        Gate::Open => Action::Open {
            attempt: 1,
            resumed: false,
        },
        Gate::Blocked(why) => Action::Wait(why.clone(), gate_recheck(why)),
        Gate::Rejected(why) => Action::Terminate(failed(why, None)),
    }
}

/// When a blocked gate is evaluated again. The end of a run requeues the next one, so that a long queue costs little.
fn gate_recheck(why: &Fault) -> SignedDuration {
    if why.reason == Reason::Queued {
        return QUEUE_RECHECK;
    }
    let after = why
        .retry_after
        .and_then(|after| SignedDuration::try_from(after).ok());
    after.map_or(GATE_RECHECK, |after| after.min(GATE_RECHECK))
}

fn decide_running(observed: Observed<'_>, status: &TaranaSyncStatus) -> Action {
    let deadline = deadline(&observed.sync.spec, status, observed.now);
    if observed.now >= deadline {
        return Action::Terminate(failed(
            &deadline_exceeded(&observed.sync.spec, status),
            Some(deadline),
        ));
    }
    match observed.gate {
        Gate::Blocked(why) => {
            return Action::Wait(why.clone(), gate_recheck(why).min(until(deadline, observed.now)));
        }
        Gate::Rejected(why) => return Action::Terminate(failed(why, Some(deadline))),
        Gate::Open => {}
    }
    if status.step.is_none() {
        let next_attempt = status.next_attempt_time.as_ref().map_or(observed.now, |t| t.0);
        return if observed.now < next_attempt {
            Action::Requeue(until(next_attempt.min(deadline), observed.now))
        } else {
            Action::Open {
                attempt: status.attempt + 1,
                resumed: false,
            }
        };
    }
    match observed.attempt {
        AttemptState::NotOwned => Action::Open {
            attempt: status.attempt,
            resumed: true,
        },
        AttemptState::Opened => Action::Fetch,
        AttemptState::Fetched => Action::Apply,
    }
}

fn after_end(sync: &TaranaSync, status: &TaranaSyncStatus, deleting: bool, now: Timestamp) -> Action {
    if !deleting && status.observed_generation != sync.metadata.generation {
        return Action::ObserveGeneration;
    }
    let (Some(ttl), Some(end), false) = (
        sync.spec.ttl_seconds_after_finished,
        status.completion_time.as_ref(),
        deleting,
    ) else {
        return Action::AwaitChange;
    };
    let due = after(end.0, SignedDuration::from_secs(ttl.into()));
    if now >= due {
        Action::Delete
    } else {
        Action::Requeue(until(due, now))
    }
}

/// Decides between a retry and the end after a fault. `attempt` is the one that failed.
pub fn retry_decision(
    spec: &TaranaSyncSpec,
    status: &TaranaSyncStatus,
    attempt: i32,
    fault: &Fault,
    now: Timestamp,
) -> RetryDecision {
    let deadline = deadline(spec, status, now);
    if fault.is_permanent() {
        return RetryDecision::Terminate(failed(fault, Some(deadline)));
    }
    if attempt > spec.backoff_limit {
        let message = format!("{} (attempt {attempt} of {attempt}, none left)", fault.message);
        return RetryDecision::Terminate(failed(&Fault::new(fault.reason, message), Some(deadline)));
    }
    let next = after(now, backoff(spec, attempt, fault));
    if next >= deadline {
        let message = format!(
            "{}: {}; the next attempt would start after spec.activeDeadlineSeconds ({} s)",
            fault.reason, fault.message, spec.active_deadline_seconds
        );
        return RetryDecision::Terminate(failed(
            &Fault::new(Reason::DeadlineExceeded, message),
            Some(deadline),
        ));
    }
    RetryDecision::Retry(next)
}

/// The backoff after the n-th failed attempt: doubled each time, and never shorter than `Retry-After`.
fn backoff(spec: &TaranaSyncSpec, attempt: i32, fault: &Fault) -> SignedDuration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(20);
    let seconds = i64::from(spec.backoff.initial_seconds).saturating_mul(1 << doublings);
    let retry_after = fault.retry_after.map_or(0, |d| {
        i64::try_from(d.as_secs())
            .unwrap_or(i64::MAX / 2)
            .saturating_add(1)
    });
    SignedDuration::from_secs(seconds.min(spec.backoff.max_seconds.into()).max(retry_after))
}

/// The deadline of the run. `now` is its start if it has not started yet.
pub fn deadline(spec: &TaranaSyncSpec, status: &TaranaSyncStatus, now: Timestamp) -> Timestamp {
    let start = status.start_time.as_ref().map_or(now, |t| t.0);
    after(
        start,
        SignedDuration::from_secs(spec.active_deadline_seconds.into()),
    )
}

fn failed(why: &Fault, deadline: Option<Timestamp>) -> Termination {
    Termination {
        phase: Phase::Failed,
        reason: why.reason,
        message: why.message.clone(),
        row_close_deadline: deadline.map(|t| after(t, CLOSE_GRACE)),
    }
}

/// The end of a run whose object was deleted before it started.
pub fn deleted(sync: &TaranaSync) -> Termination {
    cancelled(sync, &sync.status.clone().unwrap_or_default(), true)
}

fn cancelled(sync: &TaranaSync, status: &TaranaSyncStatus, deleting: bool) -> Termination {
    let message = if deleting {
        OBJECT_DELETED
    } else {
        "spec.cancel was set"
    };
    // A run that never left Pending cannot have committed. Any other may have: the object shows the step Apply late, and a
    // failed attempt may have lost only the answer of its commit.
    let row_close_deadline = status
        .start_time
        .as_ref()
        .map(|_| after(deadline(&sync.spec, status, Timestamp::UNIX_EPOCH), CLOSE_GRACE));
    Termination {
        phase: Phase::Cancelled,
        reason: Reason::Cancelled,
        message: message.to_owned(),
        row_close_deadline,
    }
}

fn deadline_exceeded(spec: &TaranaSyncSpec, status: &TaranaSyncStatus) -> Fault {
    let step = status
        .step
        .map_or_else(|| "between attempts".to_owned(), |s| format!("in step {s:?}"));
    let last = status.last_failure.as_ref().map_or_else(String::new, |f| {
        format!("; last failure: {}: {}", f.reason, f.message)
    });
    Fault::new(
        Reason::DeadlineExceeded,
        format!(
            "not finished after spec.activeDeadlineSeconds ({} s), attempt {} {step}{last}",
            spec.active_deadline_seconds, status.attempt
        ),
    )
}

fn after(t: Timestamp, d: SignedDuration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

fn until(t: Timestamp, now: Timestamp) -> SignedDuration {
    t.duration_since(now).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests;
