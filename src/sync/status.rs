//! Pure: the status that belongs to each moment of a run. Every function takes what was and gives what is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::condition::{self, DELETES_WITHHELD, FINISHED, READY, RECONCILING, STALLED, whole_seconds};
use crate::api::reason::Reason;
use crate::api::sync::{Counts, Failure, Phase, Progress, Reading, Step, TaranaSync, TaranaSyncStatus};
use crate::fault::Fault;
use crate::station;

/// Builds the next status of one object.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    sync: &'a TaranaSync,
    now: Timestamp,
}

/// How a run ended, from the log row or from the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The final phase.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
    /// For a person.
    pub message: String,
    /// What was done, where the run got that far.
    pub counts: Option<station::Counts>,
    /// Milliseconds by the database's clock; `None` where the database could not be asked.
    pub duration_ms: Option<i64>,
    /// Which listing was read, and how it was proven whole.
    pub reading: Option<(String, String)>,
    /// Why stale rows were kept, where the delete guard kept them.
    pub withheld: Option<String>,
}

impl<'a> Next<'a> {
    /// The next status of `sync`, at `now`.
    pub fn of(sync: &'a TaranaSync, now: Timestamp) -> Self {
        Self { sync, now }
    }

    fn base(&self) -> TaranaSyncStatus {
        TaranaSyncStatus {
            observed_generation: self.sync.metadata.generation,
            ..self.sync.status.clone().unwrap_or_default()
        }
    }

    /// It does not go on, and why.
    pub fn waiting(&self, why: &Fault) -> TaranaSyncStatus {
        let mut status = self.base();
        self.going_on(&mut status, why.reason, &why.message);
        status
    }

    /// An attempt has begun, or was taken over. The fence makes each take-over a change of the object, so that what the
    /// process before still wants to write is refused.
    pub fn opened(&self, attempt: i32, fence: Option<i64>) -> TaranaSyncStatus {
        let mut status = self.base();
        status.fence = fence;
        status.phase = Phase::Running;
        status.step = Some(Step::Fetch);
        status.attempt = attempt;
        status.next_attempt_time = None;
        status.progress = None;
        status.start_time.get_or_insert(Time(whole_seconds(self.now)));
        self.going_on(&mut status, Reason::Fetching, "reads the listing of base nodes");
        status
    }

    /// So many rows were read.
    pub fn progress(&self, current: u64, total: u64) -> TaranaSyncStatus {
        let mut status = self.base();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        status.progress = Some(Progress {
            current: number(current),
            total: number(total),
        });
        status
    }

    /// The listing was read, whole; the table is being written.
    pub fn applying(&self, rows: usize) -> TaranaSyncStatus {
        let mut status = self.base();
        status.step = Some(Step::Apply);
        status.counts = Some(Counts {
            fetched: i64::try_from(rows).unwrap_or(i64::MAX),
            ..Counts::default()
        });
        self.going_on(
            &mut status,
            Reason::Applying,
            "writes the difference in one transaction",
        );
        status
    }

    /// An attempt failed; the next begins at `next`.
    pub fn retrying(&self, attempt: i32, step: Step, fault: &Fault, next: Timestamp) -> TaranaSyncStatus {
        let mut status = self.base();
        status.phase = Phase::Running;
        status.attempt = attempt;
        status.start_time.get_or_insert(Time(whole_seconds(self.now)));
        status.next_attempt_time = Some(Time(ceil_seconds(next)));
        status.last_failure = Some(self.failure(attempt, Some(step), fault.reason, &fault.message));
        status.step = None;
        status.progress = None;
        status.counts = None;
        let message = format!(
            "attempt {attempt} failed ({}), the next begins at {}: {}",
            fault.reason,
            ceil_seconds(next),
            fault.message
        );
        self.going_on(&mut status, Reason::RetryScheduled, &message);
        status
    }

    /// The end, whichever, and the step that it came in.
    pub fn ended(&self, ending: &Ending, step: Option<Step>) -> TaranaSyncStatus {
        let mut status = self.base();
        if ending.phase == Phase::Failed {
            status.last_failure = Some(self.failure(status.attempt, step, ending.reason, &ending.message));
        }
        status.phase = ending.phase;
        status.step = None;
        status.next_attempt_time = None;
        status.progress = None;
        status.completion_time = Some(Time(whole_seconds(self.now)));
        status.duration_ms = ending.duration_ms;
        status.counts = ending.counts.map(counts);
        status.reading = ending
            .reading
            .clone()
            .map(|(listing, proof)| Reading { listing, proof });
        self.done(&mut status, ending);
        status
    }

    /// The same end, of the spec as it is now. Tools take a status of an older generation for one that is on its way.
    pub fn acknowledged(&self) -> TaranaSyncStatus {
        let mut status = self.base();
        for condition in &mut status.conditions {
            condition.observed_generation = self.sync.metadata.generation;
        }
        status
    }

    fn failure(&self, attempt: i32, step: Option<Step>, reason: Reason, message: &str) -> Failure {
        Failure {
            time: Time(whole_seconds(self.now)),
            attempt,
            step,
            reason: reason.to_string(),
            message: condition::brief(message),
        }
    }

    fn going_on(&self, status: &mut TaranaSyncStatus, reason: Reason, message: &str) {
        for (type_, value) in [(READY, false), (RECONCILING, true), (FINISHED, false)] {
            self.set(status, type_, value, reason, message);
        }
        condition::clear(&mut status.conditions, STALLED);
    }

    fn done(&self, status: &mut TaranaSyncStatus, ending: &Ending) {
        let completed = ending.phase == Phase::Completed;
        let (reason, message) = (ending.reason, ending.message.as_str());
        self.set(status, READY, completed, reason, message);
        self.set(status, FINISHED, true, reason, message);
        condition::clear(&mut status.conditions, RECONCILING);
        if completed {
            let (reason, message) = match &ending.withheld {
                Some(why) => (Reason::DeletesWithheld, why.as_str()),
                None => (
                    Reason::NothingWithheld,
                    "no stale row was kept by the delete guard",
                ),
            };
            self.set(
                status,
                DELETES_WITHHELD,
                ending.withheld.is_some(),
                reason,
                message,
            );
        } else {
            // kstatus takes Ready=False alone for "still at it"; this one never will be.
            self.set(status, STALLED, true, reason, message);
        }
    }

    fn set(&self, status: &mut TaranaSyncStatus, type_: &str, value: bool, reason: Reason, message: &str) {
        let generation = self.sync.metadata.generation;
        condition::set(
            &mut status.conditions,
            type_,
            value,
            reason,
            message,
            generation,
            whole_seconds(self.now),
        );
    }
}

fn counts(c: station::Counts) -> Counts {
    Counts {
        fetched: c.fetched,
        inserted: c.inserted,
        updated: c.updated,
        unchanged: c.unchanged,
        deleted: c.deleted,
        skipped: c.skipped,
        withheld: c.withheld,
    }
}

/// The next whole second, so that nothing is due earlier than it should be.
fn ceil_seconds(t: Timestamp) -> Timestamp {
    if t.subsec_nanosecond() == 0 {
        return t;
    }
    whole_seconds(t)
        .checked_add(SignedDuration::from_secs(1))
        .unwrap_or(t)
}
