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
use crate::api::schedule::{SlotRecord, TaranaSyncSchedule};
use crate::api::sync::{Phase, TaranaSync};
use crate::cluster::WatchSelector;
use crate::cron::{Cron, InvalidCron};
use crate::notify::EventSpec;
use crate::schedule::observed::{Observed, Refusal};
use crate::schedule::run_template;
use crate::schedule::slot_history;
use crate::schedule::status::StatusWithEvents;

/// More actions than any state needs until it settles.
const MAX_ACTIONS: usize = 40;

#[derive(Clone)]
pub(super) struct Simulation {
    pub schedule: TaranaSyncSchedule,
    pub cron: Result<Cron, InvalidCron>,
    pub runs: Vec<Arc<TaranaSync>>,
    pub now: Timestamp,
    pub connection_exists: bool,
    pub selector: WatchSelector,
    /// Whether a cancelled run stays active until a test ends it.
    pub slow_cancel: bool,
    /// Whether the API server refuses to create runs.
    pub refuses: bool,
    refusal: Option<Refusal>,
    /// The newest slot that the process has started, until it dies.
    pub started_slot: Option<Timestamp>,
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
            selector: WatchSelector::default(),
            slow_cancel: false,
            refuses: false,
            refusal: None,
            started_slot: None,
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
            name_is_taken: slot_history::taken_name(&self.schedule)
                .is_some_and(|name| self.foreign.contains(name)),
            connection_exists: self.connection_exists,
            selector: &self.selector,
            refusal: self.refusal.as_ref(),
            started_slot: self.started_slot,
            now: self.now,
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        if let Some(refusal) = &mut self.refusal {
            refusal.retry_in = SignedDuration::ZERO;
        }
    }

    /// Reconciles until nothing is left to do. With `crash`, the process dies after its first effect, before it writes the status.
    pub fn settle(&mut self, mut crash: bool) {
        for _ in 0..MAX_ACTIONS {
            let update = match decide(&self.observed()) {
                Action::Requeue(_) | Action::AwaitChange => return,
                Action::UpdateStatus(update) => *update,
                Action::RunNow(request) => {
                    let run = run_template::run_for_request(&self.schedule, &request, &self.selector);
                    self.requested += usize::from(self.create(&run));
                    self.observed()
                        .request_handled(&request.value, EventSpec::normal(Reason::Triggered, ""))
                }
                Action::StartSlot(slot) => self.start_slot(slot),
                Action::Cancel(run) => {
                    self.cancel(&run.name_any());
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

    /// Deletes the schedule with its runs, and creates it again. The API server's clock is `behind` the operator's by so many seconds.
    pub fn replace(&mut self, behind: i64, keep_status: bool) {
        self.runs.clear();
        let metadata = &mut self.schedule.metadata;
        metadata.uid = metadata.uid.as_ref().map(|uid| format!("{uid}+"));
        metadata.creation_timestamp = Some(Time(self.now - SignedDuration::from_secs(behind)));
        metadata.generation = Some(1);
        if !keep_status {
            self.schedule.status = None;
        }
    }

    /// Another process takes over.
    pub fn fail_over(&mut self) {
        self.started_slot = None;
        self.refusal = None;
    }

    /// Reconciles until a run was created for a slot; then the process dies, before it writes the status.
    pub fn crash(&mut self) {
        self.create_run_and_die();
        self.fail_over();
    }

    fn create_run_and_die(&mut self) {
        for _ in 0..MAX_ACTIONS {
            match decide(&self.observed()) {
                Action::StartSlot(slot) => {
                    self.start_slot(slot);
                    return;
                }
                Action::UpdateStatus(update) => {
                    self.schedule.status = Some(update.status);
                    self.events.extend(update.events);
                }
                Action::Cancel(run) => self.cancel(&run.name_any()),
                Action::Delete(run) => self.runs.retain(|other| other.name_any() != run.name_any()),
                Action::RunNow(_) | Action::Requeue(_) | Action::AwaitChange => return,
            }
        }
        panic!("the schedule does not settle: {:#?}", self.schedule);
    }

    fn cancel(&mut self, name: &str) {
        for run in self.runs.iter_mut().filter(|run| run.name_any() == name) {
            Arc::make_mut(run).spec.cancel = true;
        }
        if !self.slow_cancel {
            self.end(name, Phase::Cancelled);
        }
    }

    fn start_slot(&mut self, slot: Timestamp) -> StatusWithEvents {
        let run = run_template::run_for_slot(&self.schedule, slot, &self.selector);
        let name = run.name_any();
        if self.foreign.contains(&name) {
            return self.observed().name_taken(slot, &name);
        }
        if self.refuses {
            self.refusal = Some(Refusal {
                slot,
                message: "exceeded quota".to_owned(),
                retry_in: SignedDuration::from_secs(15),
            });
            return self.observed().current_status();
        }
        if self.create(&run) {
            self.started_slots.push((slot, self.now));
            self.started_slot = Some(slot);
        }
        self.observed().run_created(slot, &run)
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

    /// The slot history, oldest first: time of day, outcome, reason and run.
    pub fn slots(&self) -> Vec<String> {
        let status = self.schedule.status.as_ref().unwrap();
        let line = |r: &SlotRecord| {
            let time = &r.time.0.to_string()[11..16];
            let line = format!(
                "{time} {:?} {} {}",
                r.outcome,
                r.reason,
                r.sync.clone().unwrap_or_default()
            );
            line.trim_end().to_owned()
        };
        status.recent_slots.iter().rev().map(line).collect()
    }

    pub fn event_reasons(&self) -> Vec<Reason> {
        self.events.iter().map(|event| event.reason).collect()
    }
}
