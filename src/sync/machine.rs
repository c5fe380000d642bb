//! Pure: what a run does next, and what becomes of it. No I/O, no clock, no client.
//!
//! [`decide`] is a function of the object, the gate before it, what this process holds for it, and the time. [`judge`]
//! is the one place where a fault becomes a retry or the end. A failure is a value like any other: nothing returns early.
//!
//! ```text
//! Pending ──(gate open)──▶ Running: Open → Fetch → Apply ──▶ Completed ──▶ Announce
//! Running ──transient fault, attempts left──▶ Running (no step, nextAttemptTime) ──▶ Open
//! Running ──permanent fault | attempts spent | deadline──▶ Failed ──▶ Announce
//! any active phase ──cancel or delete──▶ Cancelled ──▶ Announce
//! ```

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync, TaranaSyncSpec, TaranaSyncStatus};
use crate::fault::Fault;

/// Held on a run while it is active, so that its log row is closed before its object goes.
pub const FINALIZER: &str = "tarana.dev/run";

/// How long after the deadline the log row may still be awaited before a run ends without it.
const LAST_WORD: SignedDuration = SignedDuration::from_secs(60);
/// How often a run looks again at a gate that is shut, should no change have woken it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// Whether a run may go on, as its connection and its queue have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not now: the condition says why.
    Shut(Fault),
    /// Never, as things stand: the run ends with this.
    Refused(Fault),
}

/// What this process holds for a run. A restart holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Nothing: an attempt under way was somebody else's.
    Empty,
    /// A fence: the attempt is ours.
    Opened,
    /// A fence and a complete reading.
    Fetched,
}

/// What a turn sees.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The object.
    pub sync: &'a TaranaSync,
    /// The gate before it.
    pub gate: &'a Gate,
    /// What this process holds.
    pub hand: Hand,
    /// The end that this process has come to and could not bring about yet.
    pub due: Option<&'a End>,
    /// The time.
    pub now: Timestamp,
}

/// How a run ends without a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// `Failed` or `Cancelled`.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// For a person.
    pub message: String,
    /// Until then the log row must have its say: it may tell of a commit whose answer was lost.
    pub insist_until: Option<Timestamp>,
}

/// The one thing that a turn does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, until the object changes or the time comes.
    Rest(Option<SignedDuration>),
    /// Take the finalizer.
    Adopt,
    /// Say why the run does not go on; look again after a while.
    Wait(Fault, SignedDuration),
    /// Begin the attempt, or (resumed) go on with it under a new fence.
    Open {
        /// Number of the attempt, from 1.
        attempt: i32,
        /// Whether another process had begun it.
        resumed: bool,
    },
    /// Read the listing.
    Fetch,
    /// Write the difference.
    Apply,
    /// Close the log row and say how it ended.
    End(End),
    /// Tell the world, let go of the finalizer.
    Announce,
    /// Say that a change of the spec after the end was seen: it changes nothing any more.
    Acknowledge,
    /// Delete the object: its time is up.
    Delete,
}

/// What becomes of a run after a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt, at this time.
    Retry(Timestamp),
    /// The end.
    End(End),
}

/// What the turn does.
pub fn decide(seen: Seen<'_>) -> Action {
    let Seen { sync, now, .. } = seen;
    let status = sync.status.clone().unwrap_or_default();
    let held = sync.metadata.finalizers.iter().flatten().any(|f| f == FINALIZER);
    let leaving = sync.metadata.deletion_timestamp.is_some();
    if status.phase.is_final() {
        return if held {
            Action::Announce
        } else {
            after_the_end(sync, &status, leaving, now)
        };
    }
    if leaving && !held {
        return Action::Rest(None);
    }
    if !held {
        return Action::Adopt;
    }
    if leaving || sync.spec.cancel {
        return Action::End(cancelled(sync, &status, leaving));
    }
    if let Some(end) = seen.due {
        return Action::End(end.clone());
    }
    match status.phase {
        Phase::Pending => pending(seen),
        _ => running(seen, &status),
    }
}

/// Whether nothing is left to do for a run unless its object changes.
pub fn is_settled(sync: &TaranaSync, now: Timestamp) -> bool {
    // Neither of these matters where a turn rests for good.
    let (gate, hand, due) = (&Gate::Open, Hand::Empty, None);
    let seen = Seen {
        sync,
        gate,
        hand,
        due,
        now,
    };
    decide(seen) == Action::Rest(None)
}

fn pending(seen: Seen<'_>) -> Action {
    match seen.gate {
        Gate::Open => Action::Open {
            attempt: 1,
            resumed: false,
        },
        Gate::Shut(why) => Action::Wait(why.clone(), LOOK_AGAIN),
        Gate::Refused(why) => Action::End(failed(why, None)),
    }
}

fn running(seen: Seen<'_>, status: &TaranaSyncStatus) -> Action {
    let deadline = deadline(&seen.sync.spec, status, seen.now);
    if seen.now >= deadline {
        return Action::End(failed(&too_late(&seen.sync.spec, status), Some(deadline)));
    }
    match seen.gate {
        Gate::Shut(why) => return Action::Wait(why.clone(), LOOK_AGAIN.min(until(deadline, seen.now))),
        Gate::Refused(why) => return Action::End(failed(why, Some(deadline))),
        Gate::Open => {}
    }
    if status.step.is_none() {
        let due = status.next_attempt_time.as_ref().map_or(seen.now, |t| t.0);
        return if seen.now < due {
            Action::Rest(Some(until(due.min(deadline), seen.now)))
        } else {
            Action::Open {
                attempt: status.attempt + 1,
                resumed: false,
            }
        };
    }
    match seen.hand {
        Hand::Empty => Action::Open {
            attempt: status.attempt,
            resumed: true,
        },
        Hand::Opened => Action::Fetch,
        Hand::Fetched => Action::Apply,
    }
}

fn after_the_end(sync: &TaranaSync, status: &TaranaSyncStatus, leaving: bool, now: Timestamp) -> Action {
    if !leaving && status.observed_generation != sync.metadata.generation {
        return Action::Acknowledge;
    }
    let (Some(ttl), Some(end), false) = (
        sync.spec.ttl_seconds_after_finished,
        status.completion_time.as_ref(),
        leaving,
    ) else {
        return Action::Rest(None);
    };
    let due = after(end.0, SignedDuration::from_secs(ttl.into()));
    if now >= due {
        Action::Delete
    } else {
        Action::Rest(Some(until(due, now)))
    }
}

/// Retry or end: the one place where a fault is judged. `attempt` is the one that failed.
pub fn judge(
    spec: &TaranaSyncSpec,
    status: &TaranaSyncStatus,
    attempt: i32,
    fault: &Fault,
    now: Timestamp,
) -> Verdict {
    let deadline = deadline(spec, status, now);
    if fault.is_permanent() {
        return Verdict::End(failed(fault, Some(deadline)));
    }
    if attempt > spec.backoff_limit {
        let message = format!("{} (attempt {attempt} of {attempt}, none left)", fault.message);
        return Verdict::End(failed(&Fault::new(fault.reason, message), Some(deadline)));
    }
    let next = after(now, pause(spec, attempt, fault));
    if next >= deadline {
        let message = format!(
            "{}: {}; the next attempt would begin after spec.activeDeadlineSeconds ({} s)",
            fault.reason, fault.message, spec.active_deadline_seconds
        );
        return Verdict::End(failed(
            &Fault::new(Reason::DeadlineExceeded, message),
            Some(deadline),
        ));
    }
    Verdict::Retry(next)
}

/// The pause after the n-th failed attempt: doubled each time, and never shorter than the other side asked for.
fn pause(spec: &TaranaSyncSpec, attempt: i32, fault: &Fault) -> SignedDuration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(20);
    let seconds = i64::from(spec.backoff.initial_seconds).saturating_mul(1 << doublings);
    let asked = fault.retry_after.map_or(0, |d| {
        i64::try_from(d.as_secs())
            .unwrap_or(i64::MAX / 2)
            .saturating_add(1)
    });
    SignedDuration::from_secs(seconds.min(spec.backoff.max_seconds.into()).max(asked))
}

/// When the run ends whatever happens. A run that is about to start has all its time.
pub fn deadline(spec: &TaranaSyncSpec, status: &TaranaSyncStatus, now: Timestamp) -> Timestamp {
    let start = status.start_time.as_ref().map_or(now, |t| t.0);
    after(
        start,
        SignedDuration::from_secs(spec.active_deadline_seconds.into()),
    )
}

fn failed(why: &Fault, deadline: Option<Timestamp>) -> End {
    End {
        phase: Phase::Failed,
        reason: why.reason,
        message: why.message.clone(),
        insist_until: deadline.map(|t| after(t, LAST_WORD)),
    }
}

fn cancelled(sync: &TaranaSync, status: &TaranaSyncStatus, leaving: bool) -> End {
    let message = if leaving {
        "its object was deleted"
    } else {
        "spec.cancel was set"
    };
    // A run that never left Pending has nothing in doubt. Any other may have committed: the object is told of the step
    // Apply late, and an attempt that failed there may have lost no more than the answer.
    let insist_until = status
        .start_time
        .as_ref()
        .map(|_| after(deadline(&sync.spec, status, Timestamp::UNIX_EPOCH), LAST_WORD));
    End {
        phase: Phase::Cancelled,
        reason: Reason::Cancelled,
        message: message.to_owned(),
        insist_until,
    }
}

fn too_late(spec: &TaranaSyncSpec, status: &TaranaSyncStatus) -> Fault {
    let step = status
        .step
        .map_or_else(|| "between attempts".to_owned(), |s| format!("in step {s:?}"));
    let last = status
        .last_failure
        .as_ref()
        .map_or_else(String::new, |f| format!("; last: {}: {}", f.reason, f.message));
    Fault::new(
        Reason::DeadlineExceeded,
        format!(
            "not done after spec.activeDeadlineSeconds ({} s), attempt {} {step}{last}",
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
