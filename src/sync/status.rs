//! Pure: builds the status of a run for each transition from its previous status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::condition::{self, DELETES_WITHHELD, FINISHED, READY, RECONCILING, STALLED, whole_seconds};
use crate::api::reason::Reason;
use crate::api::sync::{Counts, Failure, Phase, Progress, Reading, Step, TaranaSync, TaranaSyncStatus};
use crate::fault::Fault;
use crate::station;

/// Builds the next status of one object.
#[derive(Clone, Copy, Debug)]
pub struct StatusBuilder<'a> {
    sync: &'a TaranaSync,
    now: Timestamp,
}

/// How a run ended, according to its log row or to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// The final phase.
    pub phase: Phase,
    /// Reason of the conditions.
    pub reason: Reason,
    /// Message of the conditions.
    pub message: String,
    /// What was done; only of a completed run.
    pub counts: Option<station::RunCounts>,
    /// Milliseconds by the database's clock; `None` if the log row could not be read.
    pub duration_ms: Option<i64>,
    /// The listing that was read, and how it was proven complete.
    pub reading: Option<(String, String)>,
    /// Why the delete guard withheld deletes, if it did.
    pub withheld: Option<String>,
}

impl<'a> StatusBuilder<'a> {
    /// A builder for the next status of `sync` at `now`.
    pub fn new(sync: &'a TaranaSync, now: Timestamp) -> Self {
        Self { sync, now }
    }

    fn base(&self) -> TaranaSyncStatus {
        TaranaSyncStatus {
            observed_generation: self.sync.metadata.generation,
            ..self.sync.status.clone().unwrap_or_default()
        }
    }

    /// The run waits for this reason.
    pub fn waiting(&self, why: &Fault) -> TaranaSyncStatus {
        let mut status = self.base();
        self.in_progress(&mut status, why.reason, &why.message);
        status
    }

    /// An attempt was started or taken over. The fence makes each takeover a change of the status, so that a late write of the
    /// previous owner gets a conflict.
    pub fn opened(&self, attempt: i32, fence: Option<i64>) -> TaranaSyncStatus {
        let mut status = self.base();
        if status.attempt != attempt {
            status.interruptions = 0;
        }
        status.fence = fence;
        status.phase = Phase::Running;
        status.step = Some(Step::Fetch);
        status.attempt = attempt;
        status.next_attempt_time = None;
        status.progress = None;
        status.start_time.get_or_insert(Time(whole_seconds(self.now)));
        self.in_progress(&mut status, Reason::Fetching, "reads the listing of base nodes");
        status
    }

    /// `current` of `total` rows were read.
    pub fn progress(&self, current: u64, total: u64) -> TaranaSyncStatus {
        let mut status = self.base();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        status.progress = Some(Progress {
            current: number(current),
            total: number(total),
        });
        status
    }

    /// The listing is complete, and the table is being written, or waits for this lock.
    pub fn applying(&self, rows: usize, lock: Option<&str>) -> TaranaSyncStatus {
        let mut status = self.base();
        status.step = Some(Step::Apply);
        status.counts = Some(Counts {
            fetched: i64::try_from(rows).unwrap_or(i64::MAX),
            ..Counts::default()
        });
        let (reason, message) = match lock {
            None => (Reason::Applying, "writes the difference in one transaction"),
            Some(lock) => (Reason::DatabaseBusy, lock),
        };
        self.in_progress(&mut status, reason, message);
        status
    }

    /// An attempt failed; the next one starts at `next`.
    pub fn retrying(&self, attempt: i32, step: Step, fault: &Fault, next: Timestamp) -> TaranaSyncStatus {
        let mut status = self.base();
        status.phase = Phase::Running;
        status.attempt = attempt;
        status.start_time.get_or_insert(Time(whole_seconds(self.now)));
        status.next_attempt_time = Some(Time(ceil_seconds(next)));
        status.last_failure = Some(self.failure(attempt, Some(step), fault.reason, &fault.message));
        status.interruptions = 0;
        status.step = None;
        status.progress = None;
        status.counts = None;
        let message = format!(
            "attempt {attempt} failed ({}), the next one starts at {}: {}",
            fault.reason,
            ceil_seconds(next),
            fault.message
        );
        self.in_progress(&mut status, Reason::RetryScheduled, &message);
        status
    }

    /// The run ended with this result, in this step.
    pub fn ended(&self, result: &RunResult, step: Option<Step>) -> TaranaSyncStatus {
        let mut status = self.base();
        if result.phase == Phase::Failed {
            status.last_failure = Some(self.failure(status.attempt, step, result.reason, &result.message));
        }
        status.phase = result.phase;
        status.interruptions = 0;
        status.step = None;
        status.next_attempt_time = None;
        status.progress = None;
        status.completion_time = Some(Time(whole_seconds(self.now)));
        status.duration_ms = result.duration_ms;
        status.counts = result.counts.map(counts);
        status.reading = result
            .reading
            .clone()
            .map(|(listing, proof)| Reading { listing, proof });
        self.finished(&mut status, result);
        status
    }

    /// The same result, for the current generation. kstatus treats a status of an older generation as in progress.
    pub fn observed(&self) -> TaranaSyncStatus {
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
            message: condition::truncate_message(message),
        }
    }

    fn in_progress(&self, status: &mut TaranaSyncStatus, reason: Reason, message: &str) {
        for (type_, value) in [(READY, false), (RECONCILING, true), (FINISHED, false)] {
            self.set(status, type_, value, reason, message);
        }
        condition::clear(&mut status.conditions, STALLED);
    }

    fn finished(&self, status: &mut TaranaSyncStatus, result: &RunResult) {
        let completed = result.phase == Phase::Completed;
        let (reason, message) = (result.reason, result.message.as_str());
        self.set(status, READY, completed, reason, message);
        self.set(status, FINISHED, true, reason, message);
        condition::clear(&mut status.conditions, RECONCILING);
        if completed {
            let (reason, message) = match &result.withheld {
                Some(why) => (Reason::DeletesWithheld, why.as_str()),
                None => (Reason::NothingWithheld, "the delete guard withheld no deletes"),
            };
            self.set(
                status,
                DELETES_WITHHELD,
                result.withheld.is_some(),
                reason,
                message,
            );
        } else {
            // kstatus treats Ready=False alone as in progress.
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

fn counts(c: station::RunCounts) -> Counts {
    Counts {
        fetched: c.fetched,
        inserted: c.inserted,
        updated: c.updated,
        unchanged: c.unchanged,
        deleted: c.deleted,
        skipped: c.skipped,
        withheld: c.withheld,
        stale: c.stale,
    }
}

/// Rounds up to a whole second, so that nothing is due too early.
fn ceil_seconds(t: Timestamp) -> Timestamp {
    if t.subsec_nanosecond() == 0 {
        return t;
    }
    whole_seconds(t)
        .checked_add(SignedDuration::from_secs(1))
        .unwrap_or(t)
}
