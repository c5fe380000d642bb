//! Pure: the status of a schedule, and what is news about it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::cron::Cron;
use super::due::{self, Due, Rules};
use super::history;
use super::pattern::Invalid;
use crate::api::condition::{self, LAST_SYNC_SUCCEEDED, READY, STALLED, whole_seconds};
use crate::api::reason::Reason;
use crate::api::schedule::{Skipped, TRIGGER, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use crate::api::sync::{Phase, TaranaSync};
use crate::notify::News;

/// A clock may differ from that of the process before by less than this.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a turn sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The object.
    pub schedule: &'a TaranaSyncSchedule,
    /// What its pattern and zone say.
    pub cron: &'a Result<Cron, Invalid>,
    /// Its runs.
    pub runs: &'a [Arc<TaranaSync>],
    /// The connection of its template exists.
    pub connected: bool,
    /// The time.
    pub now: Timestamp,
}

/// A status, and what is to be published once it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The whole status.
    pub status: TaranaSyncScheduleStatus,
    /// Events.
    pub news: Vec<News>,
}

/// What holds a schedule up, or does not.
struct Standing {
    ready: bool,
    stalled: bool,
    reason: Reason,
    message: String,
}

impl View<'_> {
    /// How things stand.
    pub fn mirror(&self) -> Told {
        self.told(self.not_before(), |_| {})
    }

    /// No slot up to then is dealt with any more. Creation counts as told by the API server; for an edit and the end of a
    /// suspension it is the moment at which they are seen.
    pub fn not_before(&self) -> Timestamp {
        let known = self.known();
        let Some(schedule) = known.and_then(|known| known.observed_schedule.as_ref()) else {
            let created = self.schedule.metadata.creation_timestamp.as_ref();
            return created.map_or(whole_seconds(self.now), |t| t.0);
        };
        let before = known.and_then(|known| known.not_before.as_ref()).map(|t| t.0);
        match before {
            Some(before) if *schedule == self.words() && !self.is_resumed() => before,
            _ => before.unwrap_or(Timestamp::MIN).max(whole_seconds(self.now)),
        }
    }

    /// The annotation's value, if it asks for a run that was not created yet.
    pub fn request(&self) -> Option<&str> {
        let value = self.schedule.annotations().get(TRIGGER)?;
        let known = self.known()?;
        (known.last_handled_trigger.as_ref() != Some(value)).then_some(value)
    }

    /// What the clock says, with this memory; nothing while suspended, and where the pattern is not valid.
    pub fn due(&self, not_before: Timestamp) -> Option<Due> {
        let spec = &self.schedule.spec;
        let cron = self.cron.as_ref().ok().filter(|_| !spec.suspend)?;
        let rules = Rules {
            cron,
            uid: self.schedule.metadata.uid.as_deref().unwrap_or_default(),
            starting_deadline: SignedDuration::from_secs(i64::from(spec.starting_deadline_seconds)),
            jitter: u32::try_from(spec.jitter_seconds).unwrap_or_default(),
        };
        Some(due::due(&rules, not_before, self.now))
    }

    /// The run of a slot exists.
    pub fn created(&self, slot: Timestamp, missed: Option<Timestamp>, name: &str) -> Told {
        let mut told = self.told(slot, |status| {
            status.last_schedule_time = Some(Time(slot));
            if let Some(missed) = missed {
                status.last_skipped = Some(self.missing(missed));
            }
        });
        let note = format!("created {name} for the slot {slot}");
        told.news.push(News::normal(Reason::RunCreated, note));
        told.news.extend(missed.map(|slot| news_of(&self.missing(slot))));
        told
    }

    /// No run is created for a slot, for these are still active.
    pub fn skipped(&self, slot: Timestamp, active: &[String]) -> Told {
        let message = format!(
            "no run was created for the slot {slot}: {} had not ended, and concurrencyPolicy is Forbid",
            active.join(", ")
        );
        self.not_created(skipped(slot, Reason::SlotSkipped, &message))
    }

    /// No run is created for a slot, for something else has its name.
    pub fn taken(&self, slot: Timestamp, name: &str) -> Told {
        let message = format!(
            "no run was created for the slot {slot}: a TaranaSync {name} exists that this schedule did not create; delete or rename it if it is in the way of later slots too"
        );
        self.not_created(skipped(slot, Reason::NameTaken, &message))
    }

    /// No run is created for a slot, for the API server will not have it.
    pub fn refused(&self, slot: Timestamp, why: &str) -> Told {
        let message =
            format!("no run was created for the slot {slot}: mend spec.template, the API server says {why}");
        self.not_created(skipped(slot, Reason::RunRefused, &message))
    }

    /// Nobody was there for a slot in time.
    pub fn missed(&self, slot: Timestamp) -> Told {
        self.not_created(self.missing(slot))
    }

    /// A request for a run now is dealt with: by this run, or (a warning) not at all.
    pub fn requested(&self, value: &str, news: News) -> Told {
        let mut told = self.told(self.not_before(), |status| {
            status.last_handled_trigger = Some(value.to_owned());
        });
        told.news.push(news);
        told
    }

    fn not_created(&self, skipped: Skipped) -> Told {
        let news = news_of(&skipped);
        let mut told = self.told(skipped.time.0, |status| status.last_skipped = Some(skipped));
        told.news.push(news);
        told
    }

    fn missing(&self, slot: Timestamp) -> Skipped {
        let since = self
            .known()
            .and_then(|known| known.not_before.as_ref())
            .map_or(slot, |t| t.0);
        let message = format!(
            "no run was created for the slot {slot}, nor for others since {since}, if there were any: the operator was not there in time, and only the newest slot of the last {} s is made up for (startingDeadlineSeconds)",
            self.schedule.spec.starting_deadline_seconds
        );
        skipped(slot, Reason::SlotMissed, &message)
    }

    /// The status with this memory, after `change`.
    fn told(&self, not_before: Timestamp, change: impl FnOnce(&mut TaranaSyncScheduleStatus)) -> Told {
        let known = self.known().cloned().unwrap_or_default();
        let first = known.observed_schedule.is_none();
        let mut status = TaranaSyncScheduleStatus {
            observed_generation: self.schedule.metadata.generation,
            observed_schedule: Some(self.words()),
            not_before: Some(Time(not_before)),
            next_schedule_time: self.due(not_before).and_then(|due| due.next).map(Time),
            active: history::active(self.runs),
            ..known.clone()
        };
        if first && !self.asks_since_creation() {
            // What a restored object brings along was asked for in another life.
            status.last_handled_trigger = self.schedule.annotations().get(TRIGGER).cloned();
        }
        change(&mut status);
        self.count_ends(&mut status, &known);
        let news = self.stand(&mut status, &known);
        Told { status, news }
    }

    /// Whether the annotation holds a time since the object was created.
    fn asks_since_creation(&self) -> bool {
        let asked = self
            .schedule
            .annotations()
            .get(TRIGGER)
            .and_then(|v| v.parse::<Timestamp>().ok());
        let created = self.schedule.metadata.creation_timestamp.as_ref().map(|t| t.0);
        asked
            .zip(created)
            .is_some_and(|(asked, created)| asked >= created)
    }

    /// Takes note of the runs that ended since.
    fn count_ends(&self, status: &mut TaranaSyncScheduleStatus, known: &TaranaSyncScheduleStatus) {
        for (last, message) in history::ended_since(self.runs, known) {
            let completed = last.phase == Phase::Completed;
            if completed {
                status.consecutive_failures = 0;
                status.last_successful_time = Some(last.completion_time.clone());
            } else if last.phase == Phase::Failed {
                status.consecutive_failures = status.consecutive_failures.saturating_add(1);
            }
            if last.phase != Phase::Cancelled {
                let reason = Reason::parse(&last.reason).unwrap_or(Reason::Failed);
                let message = format!("{}: {message}", last.name);
                self.set(status, LAST_SYNC_SUCCEEDED, completed, reason, &message);
            }
            let later = status
                .last_sync
                .take()
                .filter(|known| known.place() > last.place());
            status.last_sync = later.or(Some(last));
        }
    }

    /// Sets Ready and Stalled, and tells what is new in them.
    fn stand(&self, status: &mut TaranaSyncScheduleStatus, known: &TaranaSyncScheduleStatus) -> Vec<News> {
        let standing = self.standing(status);
        self.set(status, READY, standing.ready, standing.reason, &standing.message);
        if standing.stalled {
            self.set(status, STALLED, true, standing.reason, &standing.message);
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
        if ready(status) == ready(known) {
            return Vec::new();
        }
        match standing.reason {
            Reason::Suspended => vec![News::normal(Reason::Suspended, standing.message)],
            Reason::Scheduled if self.was_suspended() => {
                vec![News::normal(
                    Reason::Resumed,
                    "slots from now on start runs again",
                )]
            }
            // That is told with the slot.
            Reason::Scheduled | Reason::NameTaken | Reason::RunRefused => Vec::new(),
            reason => vec![News::warning(reason, standing.message)],
        }
    }

    fn standing(&self, status: &TaranaSyncScheduleStatus) -> Standing {
        let spec = &self.schedule.spec;
        let standing = |ready, stalled, reason, message: String| Standing {
            ready,
            stalled,
            reason,
            message,
        };
        if let Err(invalid) = self.cron {
            let message = format!("spec.schedule, spec.timeZone: {invalid}");
            return standing(false, true, Reason::InvalidSchedule, message);
        }
        if spec.suspend {
            let message = "spec.suspend is set: no slot starts a run, and none of them is made up for later";
            return standing(false, false, Reason::Suspended, message.into());
        }
        if status.next_schedule_time.is_none() {
            let message = format!(
                "spec.schedule: `{}` has no slot, in no year: change it",
                spec.schedule
            );
            return standing(false, true, Reason::NeverDue, message);
        }
        let not_before = status.not_before.as_ref().map_or(self.now, |t| t.0);
        if not_before.duration_since(self.now) > SKEW {
            let message = format!(
                "slots up to {not_before} were dealt with, which the clock has yet to reach: no slot starts a run until then; if the clock was wrong before and is right now, set status.notBefore to null (kubectl patch tss {} --subresource=status --type=merge -p '{{\"status\":{{\"notBefore\":null}}}}')",
                self.schedule.name_any()
            );
            return standing(false, true, Reason::ClockBehind, message);
        }
        let newest = status.last_skipped.as_ref().filter(|s| s.time.0 == not_before);
        for reason in [Reason::NameTaken, Reason::RunRefused] {
            if let Some(skipped) = newest.filter(|s| s.reason == reason.as_str()) {
                return standing(
                    false,
                    reason == Reason::RunRefused,
                    reason,
                    skipped.message.clone(),
                );
            }
        }
        if !self.connected {
            let message = format!(
                "there is no TaranaConnection {} in this namespace: runs are created, and wait for it; create it, or change spec.template.spec.connectionRef",
                spec.template.spec.connection_ref.name
            );
            return standing(false, true, Reason::ConnectionNotFound, message);
        }
        standing(true, false, Reason::Scheduled, "each slot starts a run".into())
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

    fn known(&self) -> Option<&TaranaSyncScheduleStatus> {
        self.schedule.status.as_ref()
    }

    fn words(&self) -> String {
        let spec = &self.schedule.spec;
        format!("{} {}", spec.schedule, spec.time_zone)
    }

    fn is_resumed(&self) -> bool {
        !self.schedule.spec.suspend && self.was_suspended()
    }

    fn was_suspended(&self) -> bool {
        let ready = self
            .known()
            .and_then(|known| condition::find(&known.conditions, READY));
        ready.is_some_and(|c| c.reason == Reason::Suspended.as_str())
    }
}

fn news_of(skipped: &Skipped) -> News {
    let reason = Reason::parse(&skipped.reason).unwrap_or(Reason::SlotSkipped);
    News::warning(reason, skipped.message.clone())
}

fn skipped(slot: Timestamp, reason: Reason, message: &str) -> Skipped {
    Skipped {
        time: Time(slot),
        reason: reason.to_string(),
        message: condition::brief(message),
    }
}
