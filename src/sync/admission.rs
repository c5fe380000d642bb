//! Lets only so many runs read or write at once: the others wait, and say so in their status.

use k8s_openapi::jiff::SignedDuration;

use super::concurrency::{Answer, Servers};
use super::machine::{self, Action};
use super::run::SyncRun;
use crate::api::sync::{Phase, TaranaSyncStatus};
use crate::fault::{Fault, Reason};

/// Requeue interval of a run that waits for others that were interrupted with it.
const ALONE_RECHECK: SignedDuration = SignedDuration::from_secs(2);
const ONE_AT_A_TIME: &str =
    "waits for another run: the operator crashed during both of them, so they continue one at a time";
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
        if self.slot.is_some() {
            self.use_slot(&action);
            return action;
        }
        if is_suspect(&self.status()) && !self.context.take_alone(&self.uid) {
            return Action::Wait(Fault::new(Reason::Queued, ONE_AT_A_TIME), ALONE_RECHECK);
        }
        match self.context.take_slot(self.sync(), self.servers()) {
            Ok(slot) => {
                self.slot = Some(slot);
                self.use_slot(&action);
                action
            }
            Err(answer) => self.wait_for_slot(answer),
        }
    }

    /// Says for which server the run waits if it makes no progress.
    fn use_slot(&self, action: &Action) {
        let Servers { vendor, database } = self.servers();
        let server = if *action == Action::Fetch {
            vendor
        } else {
            database
        };
        self.context.slots.uses(&self.uid, &server);
    }

    fn wait_for_slot(&self, answer: Answer) -> Action {
        let status = self.status();
        // The deadline has been running since the first attempt.
        let recheck = if status.phase == Phase::Pending {
            SLOT_RECHECK
        } else {
            let deadline = machine::deadline(&self.sync().spec, &status, self.now());
            SLOT_RECHECK.min(deadline.duration_since(self.now()).max(SignedDuration::ZERO))
        };
        // The same message each time, so that a run that waits writes its status once.
        let message = if answer == Answer::ServerHangs {
            "waits until the vendor's API or the database responds to other runs, which have made no progress for a while".to_owned()
        } else {
            format!(
                "waits for other runs to end: {} runs of this operator read or write at once (--max-concurrent-syncs)",
                self.context.slots.limit()
            )
        };
        Action::Wait(Fault::new(Reason::ConcurrencyLimited, message), recheck)
    }

    /// What the run reads from and writes to.
    fn servers(&self) -> Servers {
        let clients = self.clients();
        clients.map_or_else(Servers::default, |clients| Servers {
            vendor: format!("vendor {}", clients.spec.api.url),
            database: format!("database {}", clients.store.server()),
        })
    }

    /// The run neither reads nor writes, nor waits to do so.
    fn leave_slot(&mut self) {
        if self.slot.take().is_none() {
            self.context.slots.leave(&self.uid);
        }
    }
}

/// Whether the run may be what made the operator crash. Such runs run one at a time, so that the others among them complete.
fn is_suspect(status: &TaranaSyncStatus) -> bool {
    let failure = status.last_failure.as_ref();
    failure.is_some_and(|failure| failure.reason == Reason::OperatorCrashed.as_str())
}
