//! Pure: whether a schedule is ready, and why not.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::observed::{Observed, Refusal};
use crate::api::condition::{self, READY};
use crate::api::reason::Reason;
use crate::api::schedule::{TaranaSyncScheduleSpec, TaranaSyncScheduleStatus};

/// Tolerated difference between the clocks of two operator processes.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The values of Ready and Stalled.
pub(super) struct Readiness {
    pub ready: bool,
    pub stalled: bool,
    /// Whether the newest slot is still due, because its run was refused.
    pub is_retried: bool,
    pub reason: Reason,
    pub message: String,
}

/// Why the newest slot has no run although one was to be created.
pub(super) struct Rejection {
    pub reason: Reason,
    pub message: String,
}

impl Readiness {
    fn not_ready(reason: Reason, message: String) -> Self {
        Self {
            ready: false,
            stalled: false,
            is_retried: false,
            reason,
            message,
        }
    }

    fn stalled(reason: Reason, message: String) -> Self {
        Self {
            stalled: true,
            ..Self::not_ready(reason, message)
        }
    }
}

impl Observed<'_> {
    /// Readiness with this new status. `rejection` is `None` unless one was just received.
    pub(super) fn readiness(
        &self,
        status: &TaranaSyncScheduleStatus,
        rejection: Option<Rejection>,
    ) -> Readiness {
        let spec = &self.schedule.spec;
        if let Err(invalid) = self.cron {
            let message = format!("spec.schedule, spec.timeZone: {invalid}");
            return Readiness::stalled(Reason::InvalidSchedule, message);
        }
        if spec.suspend {
            return Readiness::not_ready(Reason::Suspended, suspended_message(spec));
        }
        if status.next_schedule_time.is_none() {
            let message = format!(
                "spec.schedule: `{}` has no slot in any year: change it",
                spec.schedule
            );
            return Readiness::stalled(Reason::NeverDue, message);
        }
        let not_before = status.not_before.as_ref().map_or(self.now, |t| t.0);
        if not_before.duration_since(self.now) > MAX_CLOCK_SKEW {
            return Readiness::stalled(Reason::ClockBehind, self.clock_behind_message(not_before));
        }
        if let Some(refusal) = self.refusal_of_due_slot(not_before) {
            return self.refused(refusal);
        }
        if let Some(rejection) = rejection.or_else(|| self.standing_rejection(status)) {
            return Readiness {
                stalled: rejection.reason == Reason::RunRefused,
                ..Readiness::not_ready(rejection.reason, rejection.message)
            };
        }
        if !self.connection_exists {
            let message = format!(
                "there is no TaranaConnection {} in this namespace{}: runs are created and wait for it; create it, or change spec.template.spec.connectionRef",
                spec.template.spec.connection_ref.name,
                self.selector.hint()
            );
            return Readiness::stalled(Reason::ConnectionNotFound, message);
        }
        Readiness {
            ready: true,
            ..Readiness::not_ready(Reason::Scheduled, "each slot starts a run".to_owned())
        }
    }

    /// The recorded rejection of the newest slot. It stands until the spec is edited, and a taken name only while its object exists.
    fn standing_rejection(&self, status: &TaranaSyncScheduleStatus) -> Option<Rejection> {
        let ready = condition::find(&self.status()?.conditions, READY)?;
        let newest = status.recent_slots.first()?;
        let reason = Reason::parse(&newest.reason)?;
        let stands = match reason {
            Reason::NameTaken => self.name_is_taken,
            Reason::RunRefused => true,
            _ => false,
        };
        let is_current = ready.reason == newest.reason
            && ready.observed_generation == self.schedule.metadata.generation
            && status.not_before.as_ref() == Some(&newest.time);
        (stands && is_current).then(|| Rejection {
            reason,
            message: ready.message.clone(),
        })
    }

    fn refused(&self, refusal: &Refusal) -> Readiness {
        let rules = self.slot_rules();
        let deadline = rules.and_then(|rules| rules.deadline(refusal.slot));
        let message = format!(
            "{} by the API server, and tried again until {} or the next slot: {}",
            refused_slot(refusal.slot),
            deadline.unwrap_or(refusal.slot),
            refusal.message
        );
        Readiness {
            is_retried: true,
            ..Readiness::not_ready(Reason::RunRefused, message)
        }
    }

    /// The message of the API server, if it refused the run of this slot. It is also in the status, for a process that started later.
    pub(super) fn refusal_message(&self, slot: Timestamp) -> Option<&str> {
        let refusal = self.refusal.filter(|refusal| refusal.slot == slot);
        refusal.map(|refusal| refusal.message.as_str()).or_else(|| {
            let ready = condition::find(&self.status()?.conditions, READY)?;
            let rest = ready.message.strip_prefix(&refused_slot(slot))?;
            let (_, message) = rest.split_once(": ")?;
            (ready.reason == Reason::RunRefused.as_str()).then_some(message)
        })
    }

    fn clock_behind_message(&self, not_before: Timestamp) -> String {
        format!(
            "the clock is behind {not_before}, up to which slots were handled: no slot starts a run until then; if that time is wrong, run kubectl patch tss {} --subresource=status --type=merge -p '{{\"status\":{{\"notBefore\":null}}}}'",
            self.schedule.name_any()
        )
    }
}

fn suspended_message(spec: &TaranaSyncScheduleSpec) -> String {
    let effect = "spec.suspend is set: slots start no runs, and are not started later";
    match spec.suspend_reason.as_deref().map(str::trim) {
        Some(reason) if !reason.is_empty() => format!("{reason} ({effect})"),
        _ => effect.to_owned(),
    }
}

/// The start of the message about a slot whose run is refused.
fn refused_slot(slot: Timestamp) -> String {
    format!("the run of the slot {slot} is refused")
}
