//! A simulation of one schedule: a clock, a list of runs instead of the API server, and edits.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::json;

use super::super::{Action, decide};
use crate::api::condition::{self, FINISHED};
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::{Phase, TaranaSync};
use crate::notify::EventSpec;
use crate::schedule::cron::Cron;
use crate::schedule::observed::Observed;
use crate::schedule::pattern::InvalidCron;
use crate::schedule::run_template;
use crate::schedule::status::StatusWithEvents;

/// More actions than any state needs until it settles.
const MAX_ACTIONS: usize = 40;

pub(super) struct Simulation {
    pub schedule: TaranaSyncSchedule,
    pub cron: Result<Cron, InvalidCron>,
    pub runs: Vec<Arc<TaranaSync>>,
    pub now: Timestamp,
    pub connection_exists: bool,
    /// Names of runs that do not belong to the schedule.
    pub foreign: BTreeSet<String>,
    /// Slots that started a run, each with the time of its start.
    pub started_slots: Vec<(Timestamp, Timestamp)>,
    pub requested: usize,
    pub events: Vec<EventSpec>,
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Simulation {
    pub fn new(pattern: &str) -> Self {
        let now = at("2026-03-27T10:00:00Z");
        let mut schedule: TaranaSyncSchedule = serde_json::from_value(json!({
            "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule",
            "metadata": {"name": "nightly", "namespace": "ns", "uid": "u-1", "generation": 1},
            "spec": {"schedule": pattern, "timeZone": "Europe/Berlin"},
        }))
        .unwrap();
        schedule.metadata.creation_timestamp = Some(Time(now));
        let mut sim = Self {
            schedule,
            cron: Err(InvalidCron(String::new())),
            runs: Vec::new(),
            now,
            connection_exists: true,
            foreign: BTreeSet::new(),
            started_slots: Vec::new(),
            requested: 0,
            events: Vec::new(),
        };
        sim.parse();
        sim
    }

    fn parse(&mut self) {
        let spec = &self.schedule.spec;
        self.cron = Cron::parse(&spec.schedule, &spec.time_zone);
    }

    pub fn edit(&mut self, change: impl FnOnce(&mut TaranaSyncSchedule)) {
        change(&mut self.schedule);
        self.schedule.metadata.generation = self.schedule.metadata.generation.map(|g| g + 1);
        self.parse();
    }

    pub fn observed(&self) -> Observed<'_> {
        Observed {
            schedule: &self.schedule,
            cron: &self.cron,
            runs: &self.runs,
            connection_exists: self.connection_exists,
            now: self.now,
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Reconciles until nothing is left to do. With `crash`, the process dies after its first effect, before it writes the status.
    pub fn settle(&mut self, mut crash: bool) {
        for _ in 0..MAX_ACTIONS {
            let update = match decide(&self.observed()) {
                Action::Requeue(_) | Action::AwaitChange => return,
                Action::UpdateStatus(update) => *update,
                Action::RunNow(value) => {
                    let run = run_template::run_for_request(&self.schedule, &value);
                    self.requested += usize::from(self.create(&run));
                    self.observed()
                        .request_handled(&value, EventSpec::normal(Reason::Triggered, ""))
                }
                Action::StartSlot(slot, missed) => self.start_slot(slot, missed),
                Action::Cancel(run) => {
                    self.end(&run.name_any(), Phase::Cancelled);
                    continue;
                }
                Action::Delete(run) => {
                    self.runs.retain(|other| other.name_any() != run.name_any());
                    continue;
                }
            };
            if !std::mem::take(&mut crash) {
                self.schedule.status = Some(update.status);
                self.events.extend(update.events);
            }
        }
        panic!("the schedule does not settle: {:#?}", self.schedule);
    }

    fn start_slot(&mut self, slot: Timestamp, missed: Option<Timestamp>) -> StatusWithEvents {
        let run = run_template::run_for_slot(&self.schedule, slot);
        let name = run.name_any();
        if self.foreign.contains(&name) {
            return self.observed().name_taken(slot, &name);
        }
        if self.create(&run) {
            self.started_slots.push((slot, self.now));
        }
        self.observed().run_created(slot, missed, &name)
    }

    /// Creates a run. Returns whether it did not exist before.
    fn create(&mut self, run: &TaranaSync) -> bool {
        let exists = self.runs.iter().any(|other| other.name_any() == run.name_any());
        if !exists {
            let mut run = run.clone();
            run.metadata.creation_timestamp = Some(Time(self.now));
            self.runs.push(Arc::new(run));
        }
        !exists
    }

    pub fn end(&mut self, name: &str, phase: Phase) {
        for run in &mut self.runs {
            if run.name_any() != name {
                continue;
            }
            let run = Arc::make_mut(run);
            let mut status = run.status.clone().unwrap_or_default();
            status.phase = phase;
            status.completion_time = Some(Time(condition::whole_seconds(self.now)));
            let reason = if phase == Phase::Failed {
                Reason::FetchEmpty
            } else {
                Reason::Completed
            };
            condition::set(
                &mut status.conditions,
                FINISHED,
                true,
                reason,
                "ended by the simulation",
                None,
                self.now,
            );
            run.status = Some(status);
        }
    }

    pub fn end_active(&mut self, phase: Phase) {
        for name in crate::schedule::history::active_names(&self.runs) {
            self.end(&name, phase);
        }
    }

    pub fn condition(&self, type_: &str) -> Option<(String, String)> {
        let status = self.schedule.status.as_ref().unwrap();
        condition::find(&status.conditions, type_).map(|c| (c.status.clone(), c.reason.clone()))
    }

    pub fn assert_condition(&self, type_: &str, status: &str, reason: Reason) {
        let expected = Some((status.to_owned(), reason.to_string()));
        assert_eq!(self.condition(type_), expected, "{:#?}", self.schedule.status);
    }

    pub fn event_reasons(&self) -> Vec<Reason> {
        self.events.iter().map(|event| event.reason).collect()
    }
}
