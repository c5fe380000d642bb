//! Pure: what a reconcile observes of a schedule, and what follows from it for its slots.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::trigger;
use crate::api::condition::{self, READY, whole_seconds};
use crate::api::reason::Reason;
use crate::api::schedule::{TRIGGER_ANNOTATION, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use crate::api::sync::TaranaSync;
use crate::cluster::WatchSelector;
use crate::cron::{
    Cron, InvalidCron,
    slots::{self, DueSlots, SlotRules},
};

/// What a reconcile observes.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The schedule.
    pub schedule: &'a TaranaSyncSchedule,
    /// Its parsed pattern and time zone.
    pub cron: &'a Result<Cron, InvalidCron>,
    /// Its runs.
    pub runs: &'a [Arc<TaranaSync>],
    /// Whether the object that has the name of the newest slot's run, and does not belong to the schedule, still exists.
    pub name_is_taken: bool,
    /// Whether the connection of its template exists.
    pub connection_exists: bool,
    /// Which connections this operator watches.
    pub selector: &'a WatchSelector,
    /// The newest slot whose run the API server refused.
    pub refusal: Option<&'a Refusal>,
    /// The newest slot that this process has started under the schedule's name, maybe for an earlier object.
    pub started_slot: Option<Timestamp>,
    /// The current time.
    pub now: Timestamp,
}

/// The API server refused to create the run of a slot. It is tried again until the slot's deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The slot.
    pub slot: Timestamp,
    /// The message of the API server.
    pub message: String,
    /// The time until the next try.
    pub retry_in: SignedDuration,
}

impl Observed<'_> {
    /// Slots up to this time are not handled again. It starts at the creation of the schedule, and moves to the time at which
    /// an edit of the pattern or the end of a suspension is observed.
    pub fn not_before(&self) -> Timestamp {
        let recorded = self.status().and_then(|s| s.not_before.as_ref()).map(|t| t.0);
        let Some(status) = self.own_status() else {
            let created = self.schedule.metadata.creation_timestamp.as_ref();
            let created = created.map_or(whole_seconds(self.now), |t| t.0);
            // The API server's clock may be behind the slot that an earlier object has started.
            return [recorded, self.started_slot]
                .into_iter()
                .flatten()
                .fold(created, Timestamp::max);
        };
        let is_edited = status.observed_schedule != Some(self.pattern_and_zone());
        match recorded {
            Some(recorded) if !is_edited && !self.is_resumed() => recorded,
            _ => recorded.unwrap_or(Timestamp::MIN).max(whole_seconds(self.now)),
        }
    }

    /// The value of the trigger annotation, unless it was handled already.
    pub fn pending_request(&self) -> Option<&str> {
        let value = self.schedule.annotations().get(TRIGGER_ANNOTATION)?;
        let status = self.status()?;
        (status.last_handled_trigger != Some(trigger::echo(value))).then_some(value)
    }

    /// The slots that are due after `not_before`; `None` while suspended, or if the pattern is invalid.
    pub fn due_slots(&self, not_before: Timestamp) -> Option<DueSlots> {
        let rules = self.slot_rules().filter(|_| !self.schedule.spec.suspend)?;
        Some(slots::due_slots(&rules, not_before, self.now))
    }

    /// The next slot to start; `None` while suspended, and if there is none.
    pub fn next_slot(&self, not_before: Timestamp) -> Option<Timestamp> {
        let rules = self.slot_rules().filter(|_| !self.schedule.spec.suspend)?;
        slots::next_slot(&rules, not_before, self.now)
    }

    /// The slots that the suspension has prevented and that are not recorded yet: the newest 20, newest first.
    pub fn suspended_slots(&self) -> Vec<Timestamp> {
        let rules = self.slot_rules().filter(|_| self.schedule.spec.suspend);
        let slots = rules.map(|rules| slots::slots_between(rules.cron, self.not_before(), self.now));
        slots.unwrap_or_default()
    }

    /// How the slots are handled; `None` if the pattern is invalid.
    pub(super) fn slot_rules(&self) -> Option<SlotRules<'_>> {
        let spec = &self.schedule.spec;
        let uid = self.schedule.metadata.uid.as_deref().unwrap_or_default();
        let cron = self.cron.as_ref().ok()?;
        Some(SlotRules::new(
            cron,
            uid,
            spec.starting_deadline_seconds,
            spec.jitter_seconds,
        ))
    }

    /// The refusal of the slot that is due after `not_before`.
    pub fn refusal_of_due_slot(&self, not_before: Timestamp) -> Option<&Refusal> {
        let refusal = self.refusal?;
        let due = self.due_slots(not_before)?.start?;
        (due == refusal.slot).then_some(refusal)
    }

    /// The recorded status.
    pub(super) fn status(&self) -> Option<&TaranaSyncScheduleStatus> {
        self.schedule.status.as_ref()
    }

    /// The recorded status, unless it describes an earlier object.
    pub(super) fn own_status(&self) -> Option<&TaranaSyncScheduleStatus> {
        let is_own = |status: &&TaranaSyncScheduleStatus| status.observed_uid == self.schedule.metadata.uid;
        self.status().filter(is_own)
    }

    /// The value of `status.observedSchedule`.
    pub(super) fn pattern_and_zone(&self) -> String {
        let spec = &self.schedule.spec;
        format!("{} {}", spec.schedule, spec.time_zone)
    }

    /// The value of the trigger annotation if it requests a run before the creation of the object.
    pub(super) fn request_before_creation(&self) -> Option<&str> {
        let value = self.schedule.annotations().get(TRIGGER_ANNOTATION)?;
        let created = self.schedule.metadata.creation_timestamp.as_ref()?.0;
        let request = trigger::parse(value).ok()?;
        (request.requested_at < created).then_some(value)
    }

    fn is_resumed(&self) -> bool {
        !self.schedule.spec.suspend && self.was_suspended()
    }

    /// Whether the recorded status is suspended.
    pub(super) fn was_suspended(&self) -> bool {
        self.recorded_reason() == Some(Reason::Suspended.as_str())
    }

    /// Whether the recorded status says that the API server refuses runs.
    pub(super) fn was_refused(&self) -> bool {
        self.recorded_reason() == Some(Reason::RunRefused.as_str())
    }

    fn recorded_reason(&self) -> Option<&str> {
        let ready = condition::find(&self.status()?.conditions, READY)?;
        Some(&ready.reason)
    }
}
