//! Pure: the status of a schedule after each action, and the Events that go with it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::history;
use super::observed::Observed;
use crate::api::condition::{self, LAST_SYNC_SUCCEEDED, READY, STALLED, whole_seconds};
use crate::api::reason::Reason;
use crate::api::schedule::{Skipped, TRIGGER_ANNOTATION, TaranaSyncScheduleStatus};
use crate::api::sync::Phase;
use crate::notify::EventSpec;

/// Tolerated difference between the clocks of two operator processes.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A status, and the Events to publish once it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWithEvents {
    /// The whole status.
    pub status: TaranaSyncScheduleStatus,
    /// The Events.
    pub events: Vec<EventSpec>,
}

/// The values of Ready and Stalled.
struct Readiness {
    ready: bool,
    stalled: bool,
    reason: Reason,
    message: String,
}

impl Readiness {
    fn not_ready(reason: Reason, message: String) -> Self {
        Self {
            ready: false,
            stalled: false,
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
    /// The status without any action.
    pub fn current_status(&self) -> StatusWithEvents {
        self.update(self.not_before(), |_| {})
    }

    /// The status after the run of a slot was created.
    pub fn run_created(&self, slot: Timestamp, missed: Option<Timestamp>, name: &str) -> StatusWithEvents {
        let mut update = self.update(slot, |status| {
            status.last_schedule_time = Some(Time(slot));
            if let Some(missed) = missed {
                status.last_skipped = Some(self.missed(missed));
            }
        });
        let note = format!("created {name} for the slot {slot}");
        update.events.push(EventSpec::normal(Reason::RunCreated, note));
        update
            .events
            .extend(missed.map(|slot| skipped_event(&self.missed(slot))));
        update
    }

    /// The status after a slot was skipped because of active runs.
    pub fn slot_skipped(&self, slot: Timestamp, active: &[String]) -> StatusWithEvents {
        let message = format!(
            "no run was created for the slot {slot}: {} had not ended, and concurrencyPolicy is Forbid",
            active.join(", ")
        );
        self.not_created(skipped(slot, Reason::SlotSkipped, &message))
    }

    /// The status after a slot was skipped because another object has the name of its run.
    pub fn name_taken(&self, slot: Timestamp, name: &str) -> StatusWithEvents {
        let message = format!(
            "no run was created for the slot {slot}: a TaranaSync {name} exists that this schedule did not create; delete it if it also blocks later slots"
        );
        self.not_created(skipped(slot, Reason::NameTaken, &message))
    }

    /// The status after a slot was skipped because the API server rejected its run.
    pub fn run_rejected(&self, slot: Timestamp, api_message: &str) -> StatusWithEvents {
        let message = format!(
            "no run was created for the slot {slot}: correct spec.template, the API server rejected the run: {api_message}"
        );
        self.not_created(skipped(slot, Reason::RunRefused, &message))
    }

    /// The status after a slot was missed.
    pub fn slot_missed(&self, slot: Timestamp) -> StatusWithEvents {
        self.not_created(self.missed(slot))
    }

    /// The status after the request of the trigger annotation was handled, with the Event that reports the result.
    pub fn request_handled(&self, value: &str, event: EventSpec) -> StatusWithEvents {
        let mut update = self.update(self.not_before(), |status| {
            status.last_handled_trigger = Some(value.to_owned());
        });
        update.events.push(event);
        update
    }

    fn not_created(&self, skipped: Skipped) -> StatusWithEvents {
        let event = skipped_event(&skipped);
        let mut update = self.update(skipped.time.0, |status| status.last_skipped = Some(skipped));
        update.events.push(event);
        update
    }

    fn missed(&self, slot: Timestamp) -> Skipped {
        let since = self
            .status()
            .and_then(|status| status.not_before.as_ref())
            .map_or(slot, |t| t.0);
        let message = format!(
            "no run was created for the slot {slot} and any other slots since {since}: the operator was not running in time, and only the newest slot of the last {} s is started late (startingDeadlineSeconds)",
            self.schedule.spec.starting_deadline_seconds
        );
        skipped(slot, Reason::SlotMissed, &message)
    }

    /// The status with this `notBefore` and after `change`, and the Events for what is new in it.
    fn update(
        &self,
        not_before: Timestamp,
        change: impl FnOnce(&mut TaranaSyncScheduleStatus),
    ) -> StatusWithEvents {
        let previous = self.status().cloned().unwrap_or_default();
        let is_first = previous.observed_schedule.is_none();
        let mut status = TaranaSyncScheduleStatus {
            observed_generation: self.schedule.metadata.generation,
            observed_schedule: Some(self.pattern_and_zone()),
            not_before: Some(Time(not_before)),
            next_schedule_time: self.due_slots(not_before).and_then(|due| due.next).map(Time),
            active: history::active_names(self.runs),
            ..previous.clone()
        };
        if is_first && !self.is_requested_after_creation() {
            // The annotation of an object that was restored from a backup is an old request.
            status.last_handled_trigger = self.schedule.annotations().get(TRIGGER_ANNOTATION).cloned();
        }
        change(&mut status);
        self.record_ended_runs(&mut status, &previous);
        let events = self.set_readiness(&mut status, &previous);
        StatusWithEvents { status, events }
    }

    /// Records the runs that ended since the previous status.
    fn record_ended_runs(&self, status: &mut TaranaSyncScheduleStatus, previous: &TaranaSyncScheduleStatus) {
        for (ended, message) in history::ended_since(self.runs, previous) {
            let completed = ended.phase == Phase::Completed;
            if completed {
                status.consecutive_failures = 0;
                status.last_successful_time = Some(ended.completion_time.clone());
            } else if ended.phase == Phase::Failed {
                status.consecutive_failures = status.consecutive_failures.saturating_add(1);
            }
            if ended.phase != Phase::Cancelled {
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
    ) -> Vec<EventSpec> {
        let readiness = self.readiness(status);
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
            // The Event of the slot reports these.
            Reason::Scheduled | Reason::NameTaken | Reason::RunRefused => Vec::new(),
            reason => vec![EventSpec::warning(reason, readiness.message)],
        }
    }

    fn readiness(&self, status: &TaranaSyncScheduleStatus) -> Readiness {
        let spec = &self.schedule.spec;
        if let Err(invalid) = self.cron {
            let message = format!("spec.schedule, spec.timeZone: {invalid}");
            return Readiness::stalled(Reason::InvalidSchedule, message);
        }
        if spec.suspend {
            let message = "spec.suspend is set: slots start no runs, and are not started later";
            return Readiness::not_ready(Reason::Suspended, message.to_owned());
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
        let newest = status.last_skipped.as_ref().filter(|s| s.time.0 == not_before);
        if let Some(skipped) = newest {
            if skipped.reason == Reason::NameTaken.as_str() {
                return Readiness::not_ready(Reason::NameTaken, skipped.message.clone());
            }
            if skipped.reason == Reason::RunRefused.as_str() {
                return Readiness::stalled(Reason::RunRefused, skipped.message.clone());
            }
        }
        if !self.connection_exists {
            let message = format!(
                "there is no TaranaConnection {} in this namespace: runs are created and wait for it; create it, or change spec.template.spec.connectionRef",
                spec.template.spec.connection_ref.name
            );
            return Readiness::stalled(Reason::ConnectionNotFound, message);
        }
        Readiness {
            ready: true,
            ..Readiness::not_ready(Reason::Scheduled, "each slot starts a run".to_owned())
        }
    }

    fn clock_behind_message(&self, not_before: Timestamp) -> String {
        format!(
            "slots up to {not_before} were handled, but the clock is behind that time: no slot starts a run until then; if the clock was wrong before and is right now, set status.notBefore to null (kubectl patch tss {} --subresource=status --type=merge -p '{{\"status\":{{\"notBefore\":null}}}}')",
            self.schedule.name_any()
        )
    }

    fn set(
        &self,
        status: &mut TaranaSyncScheduleStatus,
        type_: &str,
        value: bool,
        reason: Reason,
        message: &str,
    ) {
        let (generation, now) = (self.schedule.metadata.generation, whole_seconds(self.now));
        condition::set(
            &mut status.conditions,
            type_,
            value,
            reason,
            message,
            generation,
            now,
        );
    }
}

fn skipped_event(skipped: &Skipped) -> EventSpec {
    let reason = Reason::parse(&skipped.reason).unwrap_or(Reason::SlotSkipped);
    EventSpec::warning(reason, skipped.message.clone())
}

fn skipped(slot: Timestamp, reason: Reason, message: &str) -> Skipped {
    Skipped {
        time: Time(slot),
        reason: reason.to_string(),
        message: condition::truncate_message(message),
    }
}
