//! Pure: learns how many requests the server accepts at once.
//!
//! The limit starts at a few and grows by a few whenever that many requests were in flight together and none was
//! rejected, so that overshooting costs only a few rejections. A rejection lowers the limit by one. A level that was
//! rejected and never proven is probed again rarely, and more rarely after each failed probe. If the server
//! rejects nothing but answers slow down as more requests are in flight, requests only queue there: the limit stays, or
//! shrinks slowly.

mod queueing;

use std::collections::BTreeSet;
use std::time::Duration;

use self::queueing::QueueingEstimate;

/// The initial limit. Slow answers do not lower the limit below it.
pub(super) const START: u32 = 4;
/// How far the limit may exceed the proven level: the most rejections that one increase can cost.
const STEP: u32 = 4;
/// Successes just below a rejected level before it is probed; four times as many after each failed probe.
const PROBE_AFTER: u32 = 4096;
const PROBE_AFTER_MAX: u32 = PROBE_AFTER << 6;
/// Rejections that may be risked at any time. Every [`PROBE_AFTER`] successes add one.
const MAX_CREDIT: u32 = 5;

/// The concurrency limit of one server, and the requests in flight.
#[derive(Clone, Debug)]
pub(super) struct ConcurrencyLimit {
    ceiling: u32,
    limit: u32,
    /// The requests in flight, by number.
    in_flight: BTreeSet<u64>,
    started: u64,
    /// Most requests in flight since the last reduction.
    peak: u32,
    /// This many were in flight together and none was rejected.
    proven: u32,
    /// A request number and the level that it reached: proven once it and all requests before it succeeded.
    pending_proof: Option<(u64, u32)>,
    /// The lowest level that was rejected.
    rejected_level: Option<u32>,
    probe_after: u32,
    /// Counts the reductions: the outcome of a request that started before the last one says nothing about the new limit.
    reductions: u64,
    /// Reductions in a row that were followed by another rejection too soon.
    ineffective_reductions: u32,
    /// The last reduction was for exceeding the proven level.
    exceeded_proven: bool,
    /// Successes since the last reduction.
    successes: u32,
    credit: u32,
    /// Successes since the credit last grew.
    successes_for_credit: u32,
    queueing: QueueingEstimate,
}

/// A request in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    number: u64,
    /// Requests in flight, this one included, when it started.
    level: u32,
    reductions: u64,
}

impl ConcurrencyLimit {
    /// Nothing is learned yet. The limit never exceeds `ceiling`.
    pub(super) fn new(ceiling: u32) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            ceiling,
            limit: ceiling.min(START),
            in_flight: BTreeSet::new(),
            started: 0,
            peak: 0,
            proven: 0,
            pending_proof: None,
            rejected_level: None,
            probe_after: PROBE_AFTER,
            reductions: 0,
            ineffective_reductions: 0,
            exceeded_proven: false,
            successes: 0,
            credit: MAX_CREDIT,
            successes_for_credit: 0,
            queueing: QueueingEstimate::default(),
        }
    }

    /// Requests that may be in flight at once.
    pub(super) fn current(&self) -> u32 {
        self.limit
    }

    /// Registers a request that is about to be sent.
    pub(super) fn start(&mut self) -> Ticket {
        self.started += 1;
        self.in_flight.insert(self.started);
        let level = self.level();
        self.peak = self.peak.max(level);
        if level > self.pending_proof.map_or(self.proven, |(_, level)| level) {
            self.pending_proof = Some((self.started, level));
        }
        Ticket {
            number: self.started,
            level,
            reductions: self.reductions,
        }
    }

    /// The request succeeded after `took`. Durations are only compared within the same `kind`.
    pub(super) fn record_success(&mut self, ticket: Ticket, kind: &str, took: Duration) {
        self.in_flight.remove(&ticket.number);
        self.successes = self.successes.saturating_add(1);
        self.successes_for_credit += 1;
        if self.successes_for_credit >= PROBE_AFTER {
            (self.successes_for_credit, self.credit) = (0, MAX_CREDIT.min(self.credit + 1));
        }
        self.queueing.record(kind, took, ticket.level <= START);
        self.update_proven();
        if ticket.reductions == self.reductions {
            self.adjust();
        }
    }

    /// A busy server rejected the request. Returns whether the other requests in flight can be the reason; if not, nothing
    /// is learned from it.
    pub(super) fn record_rejection(&mut self, ticket: Ticket) -> bool {
        let level = self.level();
        self.in_flight.remove(&ticket.number);
        if ticket.level.max(level) <= 1 {
            // A request that is alone is rejected as well, so earlier rejections were not about concurrency.
            (self.rejected_level, self.credit) = (None, MAX_CREDIT);
            return false;
        }
        self.credit = self.credit.saturating_sub(1);
        let current = ticket.reductions == self.reductions;
        // The server accepted all of these except the rejected ones, in whatever order they arrived.
        let from = if current {
            self.limit.min(self.peak)
        } else {
            self.limit
        };
        let exceeded = if current {
            from > self.proven
        } else {
            self.exceeded_proven
        };
        let reduced = from.saturating_sub(self.reduction(current, exceeded));
        self.limit = reduced.max(self.limit / 2).max(1);
        if current {
            self.exceeded_proven = exceeded;
            if self.rejected_level.is_some_and(|level| from >= level) {
                self.probe_after = (self.probe_after * 4).min(PROBE_AFTER_MAX);
            }
        }
        if self.exceeded_proven {
            self.rejected_level = Some(self.limit + 1);
        }
        self.proven = self.proven.min(self.limit);
        true
    }

    /// The request ended in a way that says nothing about concurrency.
    pub(super) fn record_abandoned(&mut self, ticket: Ticket) {
        self.in_flight.remove(&ticket.number);
        self.pending_proof = None;
    }

    fn level(&self) -> u32 {
        u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX)
    }

    /// Requests can overtake each other, so a success proves its level only once all earlier requests have ended.
    fn update_proven(&mut self) {
        let Some((number, level)) = self.pending_proof else {
            return;
        };
        if self.in_flight.first().is_none_or(|oldest| *oldest > number) {
            (self.proven, self.pending_proof) = (level.min(self.limit), None);
            if self.rejected_level.is_some_and(|level| self.proven >= level) {
                (self.rejected_level, self.probe_after, self.credit) = (None, PROBE_AFTER, MAX_CREDIT);
            }
        }
    }

    /// By how much a rejection reduces the limit: one, doubled each time the previous reduction did not help. A request
    /// that started before the last reduction (not `current`) does not double it.
    fn reduction(&mut self, current: bool, exceeded_proven: bool) -> u32 {
        if !current {
            return 1;
        }
        let helped = self.reductions == 0 || self.successes >= self.limit || exceeded_proven;
        self.ineffective_reductions = if helped {
            0
        } else {
            self.ineffective_reductions.saturating_add(1)
        };
        self.reductions += 1;
        (self.successes, self.peak, self.pending_proof) = (0, 0, None);
        1 << self.ineffective_reductions.saturating_sub(1).min(8)
    }

    /// Raises the limit, lowers it by one, or keeps it.
    fn adjust(&mut self) {
        let queued = self.queueing.queued_requests(self.limit);
        if queued > (self.limit / 2).max(6) {
            if self.limit > START && self.successes >= self.limit {
                self.limit -= 1;
                self.successes = 0;
            }
        } else if queued < (self.limit / 4).max(3) {
            let target = self.target().min(self.ceiling);
            if target > self.limit {
                self.limit = target;
            }
        }
    }

    /// How far the limit may rise now.
    fn target(&self) -> u32 {
        let next = self.proven + STEP.min(self.credit);
        // Two rounds of successes show whether the last reduction was enough.
        let settled = self.reductions == 0 || self.successes >= 2 * self.limit;
        match self.rejected_level {
            _ if !settled => self.limit,
            None => next,
            Some(rejected)
                if self.limit + 1 >= rejected && self.successes >= self.probe_after && self.credit > 0 =>
            {
                rejected
            }
            Some(rejected) => next.min(rejected - 1),
        }
    }
}

#[cfg(test)]
mod tests;
