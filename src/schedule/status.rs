//! Pure: the status of a schedule after each action, and the Events that go with it.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::observed::Observed;
use super::readiness::Rejection;
use super::status_size::{self, condition_message};
use super::trigger::{self, InvalidTrigger};
use super::{history, slot_history};
use crate::api::condition::{self, ConditionStatus, LAST_SYNC_SUCCEEDED, READY, STALLED, whole_seconds};
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncScheduleStatus;
use crate::api::sync::{Phase, TaranaSync};
use crate::notify::EventSpec;

/// A status, and the Events to publish once it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWithEvents {
    /// The whole status.
    pub status: TaranaSyncScheduleStatus,
    /// The Events.
    pub events: Vec<EventSpec>,
}

impl StatusWithEvents {
    fn followed_by(mut self, events: Vec<EventSpec>) -> Self {
        self.events.extend(events);
        self
    }
}

impl Observed<'_> {
    /// The status without any action. It records slots that an edit of the pattern, or the end of a suspension, has left behind.
    pub fn current_status(&self) -> StatusWithEvents {
        let lost = self.records_lost_by_change();
        let events = self.lost_events(&lost);
        let update = self.update(self.not_before(), None, |status| slot_history::add(status, lost));
        update.followed_by(events)
    }

    /// The status after slots that start no run any more. `lost` begins with the newest.
    pub fn slots_lost(&self, lost: &[Timestamp]) -> StatusWithEvents {
        let cause = if self.schedule.spec.suspend {
            Reason::Suspended
        } else {
            Reason::SlotMissed
        };
        let records = self.lost_records(lost, cause);
        let events = self.lost_events(&records);
        let newest = lost.first().copied().unwrap_or_else(|| self.not_before());
        let rejection = self.lost_rejection(&records);
        let update = self.update(newest, rejection, |status| slot_history::add(status, records));
        update.followed_by(events)
    }

    /// The status after the run of a slot was created.
    pub fn run_created(&self, slot: Timestamp, run: &TaranaSync) -> StatusWithEvents {
        let update = self.update(slot, None, |status| {
            status.last_schedule_time = Some(Time(slot));
            slot_history::add(status, vec![slot_history::ran(slot, &run.name_any())]);
        });
        update.followed_by(vec![slot_history::run_created_event(slot, run)])
    }

    /// The status after a slot was skipped because of active runs, of which the first is the oldest.
    pub fn slot_skipped(&self, slot: Timestamp, active: &[&Arc<TaranaSync>]) -> StatusWithEvents {
        let sync = active.first().map(|run| run.name_any());
        let record = slot_history::skipped(slot, Reason::RunActive, sync.as_deref());
        let update = self.update(slot, None, |status| slot_history::add(status, vec![record]));
        let others = match active.len().saturating_sub(1) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let note = format!(
            "no run was created for the slot {slot}: {}{others} had not ended, and concurrencyPolicy is Forbid",
            sync.unwrap_or_default()
        );
        update.followed_by(vec![EventSpec::warning(Reason::SlotSkipped, note)])
    }

    /// The status after a slot was skipped because another object has the name of its run.
    pub fn name_taken(&self, slot: Timestamp, name: &str) -> StatusWithEvents {
        let message = format!(
            "no run was created for the slot {slot}: a TaranaSync {name} exists that this schedule did not create; delete it if you do not need it; later slots have other names"
        );
        self.rejected(slot, Reason::NameTaken, Some(name), message)
    }

    /// The status after a slot was skipped because the API server rejected its run.
    pub fn run_rejected(&self, slot: Timestamp, api_message: &str) -> StatusWithEvents {
        let message = format!(
            "no run was created for the slot {slot}: correct spec.template, the API server rejected the run: {api_message}"
        );
        self.rejected(slot, Reason::RunRefused, None, message)
    }

    fn rejected(
        &self,
        slot: Timestamp,
        reason: Reason,
        sync: Option<&str>,
        message: String,
    ) -> StatusWithEvents {
        let event = EventSpec::warning(reason, message.clone());
        let record = slot_history::skipped(slot, reason, sync);
        let update = self.update(slot, Some(Rejection { reason, message }), |status| {
            slot_history::add(status, vec![record]);
        });
        update.followed_by(vec![event])
    }

    /// The status after the request of the trigger annotation was handled, with the Event that reports the result.
    pub fn request_handled(&self, value: &str, event: EventSpec) -> StatusWithEvents {
        let update = self.update(self.not_before(), None, |status| {
            status.last_handled_trigger = Some(trigger::echo(value));
        });
        update.followed_by(vec![event])
    }

    /// The status after an invalid value of the trigger annotation was ignored.
    pub fn request_invalid(&self, value: &str, invalid: &InvalidTrigger) -> StatusWithEvents {
        let note = format!("no run was created: {invalid}");
        self.request_handled(value, EventSpec::warning(Reason::InvalidTrigger, note))
    }

    /// The status with this `notBefore` and after `change`, and the Events for what is new in it.
    fn update(
        &self,
        not_before: Timestamp,
        rejection: Option<Rejection>,
        change: impl FnOnce(&mut TaranaSyncScheduleStatus),
    ) -> StatusWithEvents {
        let previous = self.status().cloned().unwrap_or_default();
        let is_first = self.own_status().is_none();
        let mut status = TaranaSyncScheduleStatus {
            observed_generation: self.schedule.metadata.generation,
            observed_uid: self.schedule.metadata.uid.clone(),
            observed_schedule: Some(self.pattern_and_zone()),
            not_before: Some(Time(not_before)),
            next_schedule_time: self.next_slot(not_before).map(Time),
            active: history::newest_names(history::active_names(self.runs)),
            ..previous.clone()
        };
        // The annotation of an object that was restored from a backup is an old request.
        if let Some(value) = self.request_before_creation().filter(|_| is_first) {
            status.last_handled_trigger = Some(trigger::echo(value));
        }
        // A user may have reset notBefore after the clock was wrong: later slots are still to come.
        status.recent_slots.retain(|record| record.time.0 <= not_before);
        // A process may have died before it recorded a run.
        let with_run = self.newest_slot_with_run(not_before).map(Time);
        status.last_schedule_time = status.last_schedule_time.max(with_run);
        change(&mut status);
        self.record_ended_runs(&mut status, &previous);
        let events = self.set_readiness(&mut status, &previous, rejection);
        if status != previous {
            status_size::drop_oldest_slots(&mut status);
        }
        StatusWithEvents { status, events }
    }

    /// Records the runs that ended since the previous status.
    fn record_ended_runs(&self, status: &mut TaranaSyncScheduleStatus, previous: &TaranaSyncScheduleStatus) {
        if condition::find(&status.conditions, LAST_SYNC_SUCCEEDED).is_none() {
            let message = "no run of this schedule has completed or failed yet";
            let unknown = ConditionStatus::Unknown;
            self.set(status, LAST_SYNC_SUCCEEDED, unknown, Reason::NeverRun, message);
        }
        for (ended, message) in history::ended_since(self.runs, previous) {
            let completed = ended.phase == Phase::Completed;
            match ended.phase {
                // It says nothing about the table.
                _ if ended.dry_run => {}
                Phase::Completed => {
                    status.consecutive_failures = 0;
                    status.last_successful_time = Some(ended.completion_time.clone());
                }
                Phase::Failed => {
                    status.consecutive_failures = status.consecutive_failures.saturating_add(1);
                }
                _ => {}
            }
            if ended.phase != Phase::Cancelled && !ended.dry_run {
                let reason = Reason::parse(&ended.reason).unwrap_or(Reason::Failed);
                let message = format!("{}: {message}", ended.name);
                self.set(status, LAST_SYNC_SUCCEEDED, completed, reason, &message);
            }
            let newer = status
                .last_sync
                .take()
                .filter(|last| last.sort_key() > ended.sort_key());
            status.last_sync = newer.or(Some(ended));
        }
    }

    /// Sets Ready and Stalled. Returns the Event for a change of Ready.
    fn set_readiness(
        &self,
        status: &mut TaranaSyncScheduleStatus,
        previous: &TaranaSyncScheduleStatus,
        rejection: Option<Rejection>,
    ) -> Vec<EventSpec> {
        let readiness = self.readiness(status, rejection);
        let (reason, message) = (readiness.reason, readiness.message.as_str());
        self.set(status, READY, readiness.ready, reason, message);
        if readiness.stalled {
            self.set(status, STALLED, true, reason, message);
        } else {
            condition::clear(&mut status.conditions, STALLED);
        }
        for condition in &mut status.conditions {
            condition.observed_generation = self.schedule.metadata.generation;
        }
        let ready = |status: &TaranaSyncScheduleStatus| {
            let ready = condition::find(&status.conditions, READY);
            ready.map(|c| (c.reason.clone(), c.message.clone()))
        };
        if ready(status) == ready(previous) {
            return Vec::new();
        }
        match reason {
            Reason::Suspended => vec![EventSpec::normal(Reason::Suspended, readiness.message)],
            Reason::Scheduled if self.was_suspended() => {
                vec![EventSpec::normal(
                    Reason::Resumed,
                    "slots from now on start runs again",
                )]
            }
            Reason::RunRefused if readiness.is_retried && !self.was_refused() => {
                vec![EventSpec::warning(Reason::RunRefused, readiness.message)]
            }
            // The Event of the slot reports these.
            Reason::Scheduled | Reason::NameTaken | Reason::RunRefused => Vec::new(),
            reason => vec![EventSpec::warning(reason, readiness.message)],
        }
    }

    fn set(
        &self,
        status: &mut TaranaSyncScheduleStatus,
        type_: &str,
        value: impl Into<ConditionStatus>,
        reason: Reason,
        message: &str,
    ) {
        let (generation, now) = (self.schedule.metadata.generation, whole_seconds(self.now));
        condition::set(
            &mut status.conditions,
            type_,
            value,
            reason,
            &condition_message(message),
            generation,
            now,
        );
    }
}
