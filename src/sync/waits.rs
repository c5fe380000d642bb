//! Records what a run waits for. Nothing is written here: the spans are written with the log row.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::clock::now;
use super::run::{Next, SyncRun};
use crate::api::condition::{self, RECONCILING};
use crate::api::reason::Reason;
use crate::api::sync::Phase;
use crate::connection::ConnectionState;
use crate::fault::Fault;
use crate::store::{Span, WaitCause};

impl SyncRun<'_> {
    /// The run waits for this reason. A pending run has waited since its creation: for the reason in its status, if another
    /// process wrote one.
    pub(super) fn record_wait(&self, why: &Fault) {
        let status = self.status();
        let is_pending = status.phase == Phase::Pending;
        let instant = Instant::now();
        let former = condition::find(&status.conditions, RECONCILING).filter(|_| is_pending);
        let since = if is_pending {
            self.waits_since(former.is_some(), instant)
        } else {
            instant
        };
        let former = former.and_then(|c| Some((WaitCause::of(Reason::parse(&c.reason)?), c.message.clone())));
        let cause = match &self.view.state {
            ConnectionState::Unverified(fault) if fault.reason == Reason::ApiThrottled => {
                WaitCause::Throttling
            }
            _ => WaitCause::of(why.reason),
        };
        self.context.with_spans(&self.uid, |spans| {
            if let Some((cause, message)) = former.filter(|_| spans.is_empty()) {
                spans.wait(cause, &message, since, instant);
            }
            spans.wait(cause, &why.message, since, instant);
        });
    }

    /// Since when a pending run waits. Only if another process saw it first does that depend on the clock of the API server.
    fn waits_since(&self, has_status: bool, now: Instant) -> Instant {
        let seen = self.context.read_state(&self.uid, |state| state.clock);
        let seen = seen.map_or(now, |clock| clock.instant);
        let created = self.sync().metadata.creation_timestamp.as_ref();
        let created = created
            .filter(|_| has_status)
            .and_then(|created| now.checked_sub(age(created.0)));
        created.map_or(seen, |created| created.min(seen))
    }

    /// The run waits for its next attempt, which begins after this time.
    pub(super) fn continue_back_off(&self, after: SignedDuration) -> Next {
        self.context.with_spans(&self.uid, |spans| {
            spans.continue_back_off(after, Instant::now());
        });
        Next::Requeue(after)
    }

    /// The attempt failed, and the next one begins then. Returns the spans for the log row.
    pub(super) fn record_backoff(&self, fault: &Fault, next: Timestamp) -> Vec<Span> {
        let cause = match fault.reason {
            Reason::ApiThrottled => WaitCause::Throttling,
            _ => WaitCause::Backoff,
        };
        let pause = next.duration_since(self.now());
        self.context.with_spans(&self.uid, |spans| {
            spans.back_off(cause, pause, &fault.to_string(), Instant::now());
            spans.spans()
        })
    }
}

/// The age of an object. The clock of the API server may be ahead.
fn age(created: Timestamp) -> Duration {
    Duration::try_from(now().duration_since(created)).unwrap_or_default()
}
