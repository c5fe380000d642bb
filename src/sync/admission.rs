//! Lets only so many runs read or write at once: the others wait, and say so in their status.

use k8s_openapi::jiff::SignedDuration;

use super::machine::{self, Action};
use super::run::SyncRun;
use crate::api::sync::Phase;
use crate::fault::{Fault, Reason};

/// Requeue interval of a run that waits, in case that it is not woken.
const SLOT_RECHECK: SignedDuration = SignedDuration::from_secs(30);

impl SyncRun<'_> {
    /// The action, or that the run waits for a slot, if the action needs one and all are taken.
    pub fn admit(&mut self, action: Action) -> Action {
        if !matches!(
            action,
            Action::AddFinalizer | Action::Open { .. } | Action::Fetch | Action::Apply
        ) {
            self.leave_slot();
            return action;
        }
        if self.slot.is_none() {
            self.slot = self.context.take_slot(self.sync());
        }
        if self.slot.is_some() {
            return action;
        }
        let status = self.status();
        // The deadline has been running since the first attempt.
        let recheck = if status.phase == Phase::Pending {
            SLOT_RECHECK
        } else {
            let deadline = machine::deadline(&self.sync().spec, &status, self.now());
            SLOT_RECHECK.min(deadline.duration_since(self.now()).max(SignedDuration::ZERO))
        };
        // The same message each time, so that a run that waits writes its status once.
        let message = format!(
            "waits for other runs to end: {} runs of this operator read or write at once (--max-concurrent-syncs)",
            self.context.slots.limit()
        );
        Action::Wait(Fault::new(Reason::ConcurrencyLimited, message), recheck)
    }

    /// The run neither reads nor writes, nor waits to do so.
    fn leave_slot(&mut self) {
        if self.slot.take().is_none() {
            self.context.slots.leave(&self.uid);
        }
    }
}
