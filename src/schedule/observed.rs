//! Pure: what a reconcile observes of a schedule, and what follows from it for its slots.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::cron::Cron;
use super::pattern::InvalidCron;
use super::slots::{self, DueSlots, SlotRules};
use crate::api::condition::{self, READY, whole_seconds};
use crate::api::reason::Reason;
use crate::api::schedule::{TRIGGER_ANNOTATION, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use crate::api::sync::TaranaSync;

/// What a reconcile observes.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The schedule.
    pub schedule: &'a TaranaSyncSchedule,
    /// Its parsed pattern and time zone.
    pub cron: &'a Result<Cron, InvalidCron>,
    /// Its runs.
    pub runs: &'a [Arc<TaranaSync>],
    /// Whether the connection of its template exists.
    pub connection_exists: bool,
    /// The current time.
    pub now: Timestamp,
}

impl Observed<'_> {
    /// Slots up to this time are not handled again. It starts at the creation of the schedule, and moves to the time at which
    /// an edit of the pattern or the end of a suspension is observed.
    pub fn not_before(&self) -> Timestamp {
        let status = self.status();
        let Some(schedule) = status.and_then(|status| status.observed_schedule.as_ref()) else {
            let created = self.schedule.metadata.creation_timestamp.as_ref();
            return created.map_or(whole_seconds(self.now), |t| t.0);
        };
        let recorded = status.and_then(|status| status.not_before.as_ref()).map(|t| t.0);
        match recorded {
            Some(recorded) if *schedule == self.pattern_and_zone() && !self.is_resumed() => recorded,
            _ => recorded.unwrap_or(Timestamp::MIN).max(whole_seconds(self.now)),
        }
    }

    /// The value of the trigger annotation, unless it was handled already.
    pub fn pending_request(&self) -> Option<&str> {
        let value = self.schedule.annotations().get(TRIGGER_ANNOTATION)?;
        let status = self.status()?;
        (status.last_handled_trigger.as_ref() != Some(value)).then_some(value)
    }

    /// The slots that are due after `not_before`; `None` while suspended, or if the pattern is invalid.
    pub fn due_slots(&self, not_before: Timestamp) -> Option<DueSlots> {
        let spec = &self.schedule.spec;
        let cron = self.cron.as_ref().ok().filter(|_| !spec.suspend)?;
        let rules = SlotRules {
            cron,
            uid: self.schedule.metadata.uid.as_deref().unwrap_or_default(),
            starting_deadline: SignedDuration::from_secs(i64::from(spec.starting_deadline_seconds)),
            jitter: u32::try_from(spec.jitter_seconds).unwrap_or_default(),
        };
        Some(slots::due_slots(&rules, not_before, self.now))
    }

    /// The recorded status.
    pub(super) fn status(&self) -> Option<&TaranaSyncScheduleStatus> {
        self.schedule.status.as_ref()
    }

    /// The value of `status.observedSchedule`.
    pub(super) fn pattern_and_zone(&self) -> String {
        let spec = &self.schedule.spec;
        format!("{} {}", spec.schedule, spec.time_zone)
    }

    /// Whether the trigger annotation holds a time after the creation of the object.
    pub(super) fn is_requested_after_creation(&self) -> bool {
        let requested = self
            .schedule
            .annotations()
            .get(TRIGGER_ANNOTATION)
            .and_then(|v| v.parse::<Timestamp>().ok());
        let created = self.schedule.metadata.creation_timestamp.as_ref().map(|t| t.0);
        requested
            .zip(created)
            .is_some_and(|(requested, created)| requested >= created)
    }

    fn is_resumed(&self) -> bool {
        !self.schedule.spec.suspend && self.was_suspended()
    }

    /// Whether the recorded status is suspended.
    pub(super) fn was_suspended(&self) -> bool {
        let ready = self
            .status()
            .and_then(|status| condition::find(&status.conditions, READY));
        ready.is_some_and(|c| c.reason == Reason::Suspended.as_str())
    }
}
