//! Pure: records what a run does and what it waits for, for the column `spans` of its log row.
//!
//! This process measures with its monotonic clock, and `open` returns the time of the database, from which all times of spans are
//! derived. So within a process no span is negative, whatever happens to the clocks of operator and database. A resumed run
//! continues the spans in its row.

use std::time::Instant;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::clock::SteadyClock;
use crate::store::{OpenedRow, Span, SpanKind, WaitCause, push_span};

/// An attempt that was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub attempt: i32,
    pub resumed: bool,
    /// When the process began to open it.
    pub began: Instant,
    /// When it read the time of the database.
    pub now: Instant,
}

/// The spans of one run, as this process knows them.
#[derive(Clone, Debug)]
pub(super) struct SpanRecorder {
    spans: Vec<Span>,
    /// Until an attempt is opened, the operator's clock; then the database's.
    clock: SteadyClock,
    /// The fence under which this process opened the last attempt.
    fence: Option<i64>,
}

impl SpanRecorder {
    /// Nothing is recorded yet. `clock` is valid until [`SpanRecorder::open`].
    pub fn new(clock: SteadyClock) -> Self {
        Self {
            spans: Vec::new(),
            clock,
            fence: None,
        }
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.clone()
    }

    /// The spans, and the fence of the row that may be written with them.
    pub fn fenced(&self) -> Option<(i64, Vec<Span>)> {
        Some((self.fence?, self.spans.clone()))
    }

    /// The spans with the times of another clock, which shows `time` at `instant`.
    pub fn by_clock_of(&self, instant: Instant, time: Timestamp) -> Vec<Span> {
        let offset = time.duration_since(self.clock.time_of(instant));
        let spans = self.spans.iter();
        spans.map(|span| shifted(span.clone(), offset)).collect()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The run waits. A wait with the same cause continues; `since` is when the first one began.
    pub fn wait(&mut self, cause: WaitCause, detail: &str, since: Instant, now: Instant) {
        let last = self.spans.iter_mut().rev();
        let mut open = last.filter(|span| span.kind == SpanKind::Wait && span.ended_at.is_none());
        if let Some(wait) = open.find(|span| span.cause == Some(cause)) {
            wait.describe(detail);
            return;
        }
        let began = if self.spans.is_empty() { since } else { now };
        let at = self.clock.time_of(began);
        self.end_all(SpanKind::Wait, at, false);
        let mut span = Span::new(SpanKind::Wait, None, at);
        span.cause = Some(cause);
        span.describe(detail);
        push_span(&mut self.spans, span);
    }

    /// An attempt was opened or resumed.
    pub fn open(&mut self, row: &OpenedRow, opening: Opening) {
        let clock = SteadyClock {
            instant: opening.now,
            time: row.at,
        };
        let is_own = self
            .fence
            .is_some_and(|fence| fence.checked_add(1) == Some(row.fence));
        if !is_own {
            // Another process may have worked on the run since. What this one recorded before it owned the run is added.
            let offset = clock
                .time_of(opening.now)
                .duration_since(self.clock.time_of(opening.now));
            let own = std::mem::replace(&mut self.spans, row.spans.clone());
            if self.fence.is_none() {
                for span in own {
                    push_span(&mut self.spans, shifted(span, offset));
                }
            }
        }
        (self.clock, self.fence) = (clock, Some(row.fence));
        let (began, now) = (clock.time_of(opening.began), clock.time_of(opening.now));
        // What the former owner did last is unknown; its last heartbeat is what is known of it.
        let stopped = row.heartbeat_at.filter(|_| !is_own || opening.resumed);
        let stopped = stopped.map_or(began, |at| at.min(began));
        self.end_all(SpanKind::Wait, began, false);
        // An attempt is opened again if the status could not be written after the row.
        let is_reopened = self
            .lasting(SpanKind::Attempt)
            .any(|span| span.attempt == Some(opening.attempt));
        self.end_all(SpanKind::Step, stopped, !opening.resumed && !is_reopened);
        if opening.resumed {
            let mut wait = Span::new(SpanKind::Wait, Some(opening.attempt), stopped);
            wait.cause = Some(WaitCause::Interruption);
            wait.end(now);
            push_span(&mut self.spans, wait);
            return;
        }
        if !is_reopened {
            self.end_all(SpanKind::Attempt, stopped, true);
            let attempt = Span::new(SpanKind::Attempt, Some(opening.attempt), began);
            push_span(&mut self.spans, attempt);
        }
        let mut step = Span::new(SpanKind::Step, Some(opening.attempt), began);
        step.step = Some("Open".to_owned());
        step.end(now);
        push_span(&mut self.spans, step);
    }

    /// An attempt could not be opened.
    pub fn fail_to_open(&mut self, attempt: i32, began: Instant, now: Instant) {
        let (began, now) = (self.clock.time_of(began), self.clock.time_of(now));
        self.end_all(SpanKind::Wait, began, false);
        for (kind, step) in [(SpanKind::Attempt, None), (SpanKind::Step, Some("Open"))] {
            let mut span = Span::new(kind, Some(attempt), began);
            (span.step, span.failed) = (step.map(str::to_owned), true);
            span.end(now);
            push_span(&mut self.spans, span);
        }
    }

    /// A step begins.
    pub fn begin_step(&mut self, attempt: i32, step: &str, now: Instant) {
        let at = self.clock.time_of(now);
        self.end_all(SpanKind::Wait, at, false);
        self.end_all(SpanKind::Step, at, false);
        let mut span = Span::new(SpanKind::Step, Some(attempt), at);
        span.step = Some(step.to_owned());
        push_span(&mut self.spans, span);
    }

    /// The step reads the listing: so many pages, with these pauses that the API asked for.
    pub fn read(&mut self, attempt: i32, pages: u64, pauses: &[(Instant, Instant)], now: Instant) {
        let step = self
            .spans
            .iter_mut()
            .rev()
            .find(|span| span.kind == SpanKind::Step);
        let Some(step) = step.filter(|step| step.ended_at.is_none()) else {
            return;
        };
        step.pages = Some(i64::try_from(pages).unwrap_or(i64::MAX));
        let began = step.started_at;
        for (from, until) in pauses {
            let (start, end) = (self.clock.time_of(*from), self.clock.time_of(*until));
            if end > began {
                self.pause(attempt, start.max(began), end, self.clock.time_of(now));
            }
        }
    }

    /// A pause of all requests, recorded again each time the listing is looked at. It may have become longer.
    fn pause(&mut self, attempt: i32, start: Timestamp, until: Timestamp, now: Timestamp) {
        let is_same = |span: &&mut Span| {
            span.kind == SpanKind::Wait
                && span.cause == Some(WaitCause::Throttling)
                && span.started_at == start
        };
        let ended_at = (until <= now).then_some(until);
        if let Some(pause) = self.spans.iter_mut().rev().find(is_same) {
            (pause.ended_at, pause.until) = (ended_at, Some(until));
            return;
        }
        let mut pause = Span::new(SpanKind::Wait, Some(attempt), start);
        (pause.cause, pause.ended_at, pause.until) = (Some(WaitCause::Throttling), ended_at, Some(until));
        push_span(&mut self.spans, pause);
    }

    /// The step waited for a lock.
    pub fn waited_for_lock(&mut self, attempt: i32, from: Instant, until: Instant) {
        let mut wait = Span::new(SpanKind::Wait, Some(attempt), self.clock.time_of(from));
        wait.cause = Some(WaitCause::Lock);
        wait.end(self.clock.time_of(until));
        push_span(&mut self.spans, wait);
    }

    /// The step and the waits during it end.
    pub fn end_step(&mut self, failed: bool, now: Instant) {
        let at = self.clock.time_of(now);
        self.end_all(SpanKind::Wait, at, false);
        self.end_all(SpanKind::Step, at, failed);
    }

    /// The attempt failed, and the run waits before the next one.
    pub fn back_off(&mut self, cause: WaitCause, pause: SignedDuration, detail: &str, now: Instant) {
        let at = self.clock.time_of(now);
        self.end_step(true, now);
        self.end_all(SpanKind::Attempt, at, true);
        let mut wait = Span::new(SpanKind::Wait, None, at);
        wait.cause = Some(cause);
        wait.describe(detail);
        wait.until = at.checked_add(pause.max(SignedDuration::ZERO)).ok();
        push_span(&mut self.spans, wait);
    }

    /// The run still waits before the next attempt, after it has waited for something else.
    pub fn continue_back_off(&mut self, pause: SignedDuration, now: Instant) {
        let is_pause = |span: &Span| matches!(span.cause, Some(WaitCause::Backoff | WaitCause::Throttling));
        // Before this process has opened an attempt, the row has the pause.
        if self.fence.is_none() || self.lasting(SpanKind::Wait).any(is_pause) {
            return;
        }
        let at = self.clock.time_of(now);
        self.end_all(SpanKind::Wait, at, false);
        let mut wait = Span::new(SpanKind::Wait, None, at);
        wait.cause = Some(WaitCause::Backoff);
        wait.until = at.checked_add(pause.max(SignedDuration::ZERO)).ok();
        push_span(&mut self.spans, wait);
    }

    fn lasting(&self, kind: SpanKind) -> impl Iterator<Item = &Span> {
        self.spans
            .iter()
            .filter(move |span| span.kind == kind && span.ended_at.is_none())
    }

    /// Ends what lasts.
    fn end_all(&mut self, kind: SpanKind, at: Timestamp, failed: bool) {
        let lasting = |span: &&mut Span| span.kind == kind && span.ended_at.is_none();
        for span in self.spans.iter_mut().filter(lasting) {
            span.end(at);
            span.failed = failed;
        }
    }
}

fn shifted(mut span: Span, offset: SignedDuration) -> Span {
    let shift = |time: Timestamp| time.checked_add(offset).unwrap_or(time);
    (span.started_at, span.ended_at) = (shift(span.started_at), span.ended_at.map(shift));
    span.until = span.until.map(shift);
    span
}

#[cfg(test)]
mod tests;
