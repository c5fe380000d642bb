//! Pure: the slot history, `status.recentSlots`: its records, and what became of slots that start no run any more.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::history::completion_time;
use super::observed::Observed;
use super::readiness::Rejection;
use crate::api::reason::Reason;
use crate::api::schedule::{
    ConcurrencyPolicy, SlotOutcome, SlotRecord, TaranaSyncSchedule, TaranaSyncScheduleStatus,
};
use crate::api::sync::{TaranaSync, TriggerType};
use crate::cron::{
    Cron,
    slots::{MAX_SLOTS, slots_between},
};
use crate::notify::EventSpec;

/// The record of a slot that started this run.
pub(super) fn ran(slot: Timestamp, run: &str) -> SlotRecord {
    record(slot, SlotOutcome::Ran, Reason::RunCreated, Some(run))
}

/// The record of a slot that the operator skipped. `sync` is the object that prevented the run.
pub(super) fn skipped(slot: Timestamp, reason: Reason, sync: Option<&str>) -> SlotRecord {
    record(slot, SlotOutcome::Skipped, reason, sync)
}

fn record(slot: Timestamp, outcome: SlotOutcome, reason: Reason, sync: Option<&str>) -> SlotRecord {
    SlotRecord {
        time: Time(slot),
        outcome,
        reason: reason.to_string(),
        sync: sync.map(str::to_owned),
    }
}

/// Adds records to the history: one per slot, newest first.
pub(super) fn add(status: &mut TaranaSyncScheduleStatus, records: Vec<SlotRecord>) {
    let slots = &mut status.recent_slots;
    slots.retain(|old| !records.iter().any(|new| new.time == old.time));
    slots.extend(records);
    slots.sort_by_key(|record| Reverse(record.time.0));
    slots.truncate(MAX_SLOTS);
}

/// The outcomes of the slots that are new in a status.
pub(super) fn new_outcomes(
    before: Option<&TaranaSyncScheduleStatus>,
    after: Option<&TaranaSyncScheduleStatus>,
) -> Vec<SlotOutcome> {
    let known = before.map_or(&[][..], |status| &status.recent_slots);
    let present = after.map_or(&[][..], |status| &status.recent_slots);
    let is_new = |record: &&SlotRecord| !known.iter().any(|old| old.time == record.time);
    present
        .iter()
        .filter(is_new)
        .map(|record| record.outcome)
        .collect()
}

/// The name of the newest slot's run, if an object that does not belong to the schedule had it.
pub(super) fn taken_name(schedule: &TaranaSyncSchedule) -> Option<&str> {
    let newest = schedule.status.as_ref()?.recent_slots.first()?;
    newest
        .sync
        .as_deref()
        .filter(|_| newest.reason == Reason::NameTaken.as_str())
}

impl Observed<'_> {
    /// What became of slots that start no run any more. `cause` applies to those without a run.
    pub(super) fn lost_records(&self, lost: &[Timestamp], cause: Reason) -> Vec<SlotRecord> {
        lost.iter().map(|slot| self.lost_record(*slot, cause)).collect()
    }

    /// What became of the slots that were not handled before the pattern was changed, or before a suspension ended.
    pub(super) fn records_lost_by_change(&self) -> Vec<SlotRecord> {
        let status = self.own_status();
        let recorded = status.and_then(|s| s.not_before.as_ref()).map(|t| t.0);
        let schedule = status.and_then(|s| s.observed_schedule.as_deref());
        let (Some(recorded), Some((pattern, zone))) = (recorded, schedule.and_then(|s| s.rsplit_once(' ')))
        else {
            return Vec::new();
        };
        let not_before = self.not_before();
        if recorded >= not_before {
            return Vec::new();
        }
        let Ok(cron) = Cron::parse(pattern, zone) else {
            return Vec::new();
        };
        let cause = if self.was_suspended() {
            Reason::Suspended
        } else {
            Reason::ScheduleChanged
        };
        self.lost_records(&slots_between(&cron, recorded, not_before), cause)
    }

    fn lost_record(&self, slot: Timestamp, cause: Reason) -> SlotRecord {
        // The run of the slot may exist: the process died between create and status.
        if let Some(run) = self.run_of(slot) {
            return ran(slot, &run.name_any());
        }
        if cause != Reason::SlotMissed {
            return skipped(slot, cause, None);
        }
        if self.refusal_message(slot).is_some() {
            return skipped(slot, Reason::RunRefused, None);
        }
        match self.run_waited_for(slot) {
            Some(run) => skipped(slot, Reason::RunActive, Some(&run.name_any())),
            None => record(slot, SlotOutcome::Missed, Reason::SlotMissed, None),
        }
    }

    fn run_of(&self, slot: Timestamp) -> Option<&TaranaSync> {
        let mut runs = self.runs.iter().map(Arc::as_ref);
        runs.find(|run| slot_of(run) == Some(slot))
    }

    /// The cancelled run that had not ended when the slot was due. Under Replace the operator waits for its end.
    fn run_waited_for(&self, slot: Timestamp) -> Option<&TaranaSync> {
        if self.schedule.spec.concurrency_policy != ConcurrencyPolicy::Replace {
            return None;
        }
        let due = self.slot_rules()?.start_time(slot);
        let run = self.runs.iter().find(|run| {
            let created = run.metadata.creation_timestamp.as_ref();
            run.spec.trigger.type_ == TriggerType::Schedule
                && (run.spec.cancel || run.metadata.deletion_timestamp.is_some())
                && created.is_some_and(|t| t.0 <= due)
                && completion_time(run).is_none_or(|t| t.0 > due)
        });
        run.map(Arc::as_ref)
    }

    /// The newest slot up to `until` that has a run.
    pub(super) fn newest_slot_with_run(&self, until: Timestamp) -> Option<Timestamp> {
        let slots = self.runs.iter().filter_map(|run| slot_of(run));
        slots.filter(|slot| *slot <= until).max()
    }

    /// The Events for lost slots: one per run that is found, and one per reason.
    pub(super) fn lost_events(&self, records: &[SlotRecord]) -> Vec<EventSpec> {
        let ran = records.iter().rev().filter(|r| r.outcome == SlotOutcome::Ran);
        let mut events: Vec<EventSpec> = ran
            .filter_map(|r| Some(run_created_event(r.time.0, self.run_of(r.time.0)?)))
            .collect();
        let refused = records.iter().filter(|r| r.reason == Reason::RunRefused.as_str());
        events.extend(refused.filter_map(|r| {
            let message = self.refused_message(r.time.0)?;
            Some(EventSpec::warning(Reason::RunRefused, message))
        }));
        for reason in [Reason::RunActive, Reason::ScheduleChanged, Reason::SlotMissed] {
            let lost: Vec<&SlotRecord> = records.iter().filter(|r| r.reason == reason.as_str()).collect();
            if let (Some(newest), Some(oldest)) = (lost.first(), lost.last()) {
                let slots = slots_text(newest, oldest, records.len() >= MAX_SLOTS);
                events.push(self.lost_event(reason, &slots, newest));
            }
        }
        events
    }

    /// The rejection to show in the conditions, if the newest of these records says that its run was refused.
    pub(super) fn lost_rejection(&self, records: &[SlotRecord]) -> Option<Rejection> {
        let newest = records
            .first()
            .filter(|r| r.reason == Reason::RunRefused.as_str())?;
        Some(Rejection {
            reason: Reason::RunRefused,
            message: self.refused_message(newest.time.0)?,
        })
    }

    fn refused_message(&self, slot: Timestamp) -> Option<String> {
        let api_message = self.refusal_message(slot)?;
        Some(format!(
            "no run was created for the slot {slot}: the API server refused it until its deadline or the next slot: {api_message}"
        ))
    }

    fn lost_event(&self, reason: Reason, slots: &str, newest: &SlotRecord) -> EventSpec {
        let deadline = self.schedule.spec.starting_deadline_seconds;
        let (reason, why) = match reason {
            Reason::RunActive => (
                Reason::SlotSkipped,
                format!(
                    "{} was cancelled (concurrencyPolicy is Replace), but had not ended before the next slot or within {deadline} s (startingDeadlineSeconds)",
                    newest.sync.as_deref().unwrap_or_default()
                ),
            ),
            Reason::ScheduleChanged => (
                Reason::SlotSkipped,
                "the pattern or time zone was changed before it was handled".to_owned(),
            ),
            _ => (
                Reason::SlotMissed,
                format!(
                    "no operator was running in time, or the clock was set forward; only the newest slot of the last {deadline} s is started late (startingDeadlineSeconds)"
                ),
            ),
        };
        EventSpec::warning(reason, format!("no run was created for {slots}: {why}"))
    }
}

/// The Event for a run that was created for a slot.
pub(super) fn run_created_event(slot: Timestamp, run: &TaranaSync) -> EventSpec {
    let note = format!("created {} for the slot {slot}", run.name_any());
    EventSpec::normal(Reason::RunCreated, note).with_related(run)
}

/// The slot for which a run was created; `None` for a run that was requested.
pub(super) fn slot_of(run: &TaranaSync) -> Option<Timestamp> {
    let trigger = &run.spec.trigger;
    let time = trigger.scheduled_time.as_ref()?;
    (trigger.type_ == TriggerType::Schedule).then_some(time.0)
}

fn slots_text(newest: &SlotRecord, oldest: &SlotRecord, has_older: bool) -> String {
    if newest == oldest {
        format!("the slot {}", newest.time.0)
    } else if has_older {
        format!("the slots until {}", newest.time.0)
    } else {
        format!("the slots from {} to {}", oldest.time.0, newest.time.0)
    }
}
