//! The turns of a schedule in a world of its own: a clock, an API server that is a list, and whoever edits.

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
use crate::notify::News;
use crate::schedule::child;
use crate::schedule::cron::Cron;
use crate::schedule::pattern::Invalid;
use crate::schedule::status::{Told, View};

/// More turns than any moment needs.
const TURNS: usize = 40;

pub(super) struct World {
    pub schedule: TaranaSyncSchedule,
    pub cron: Result<Cron, Invalid>,
    pub runs: Vec<Arc<TaranaSync>>,
    pub now: Timestamp,
    pub connected: bool,
    /// Names that something else has.
    pub foreign: BTreeSet<String>,
    /// Slots for which a run was created, each with the moment.
    pub started: Vec<(Timestamp, Timestamp)>,
    pub requested: usize,
    pub news: Vec<News>,
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    pub fn new(pattern: &str) -> Self {
        let now = at("2026-03-27T10:00:00Z");
        let mut schedule: TaranaSyncSchedule = serde_json::from_value(json!({
            "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule",
            "metadata": {"name": "nightly", "namespace": "ns", "uid": "u-1", "generation": 1},
            "spec": {"schedule": pattern, "timeZone": "Europe/Berlin"},
        }))
        .unwrap();
        schedule.metadata.creation_timestamp = Some(Time(now));
        let mut world = Self {
            schedule,
            cron: Err(Invalid(String::new())),
            runs: Vec::new(),
            now,
            connected: true,
            foreign: BTreeSet::new(),
            started: Vec::new(),
            requested: 0,
            news: Vec::new(),
        };
        world.read();
        world
    }

    fn read(&mut self) {
        let spec = &self.schedule.spec;
        self.cron = Cron::parse(&spec.schedule, &spec.time_zone);
    }

    pub fn edit(&mut self, change: impl FnOnce(&mut TaranaSyncSchedule)) {
        change(&mut self.schedule);
        self.schedule.metadata.generation = self.schedule.metadata.generation.map(|g| g + 1);
        self.read();
    }

    pub fn view(&self) -> View<'_> {
        View {
            schedule: &self.schedule,
            cron: &self.cron,
            runs: &self.runs,
            connected: self.connected,
            now: self.now,
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// All turns of this moment. `crash`: the process dies before it can write what it did in its first effect.
    pub fn settle(&mut self, mut crash: bool) {
        for _ in 0..TURNS {
            let told = match decide(&self.view()) {
                Action::Rest(_) => return,
                Action::Tell(told) => *told,
                Action::Request(value) => {
                    let run = child::of_request(&self.schedule, &value);
                    self.requested += usize::from(self.create(&run));
                    self.view().requested(&value, News::normal(Reason::Triggered, ""))
                }
                Action::Start(slot, missed) => self.start(slot, missed),
                Action::Cancel(run) => {
                    self.end(&run.name_any(), Phase::Cancelled);
                    continue;
                }
                Action::Tidy(run) => {
                    self.runs.retain(|known| known.name_any() != run.name_any());
                    continue;
                }
            };
            if !std::mem::take(&mut crash) {
                self.schedule.status = Some(told.status);
                self.news.extend(told.news);
            }
        }
        panic!("it goes on and on: {:#?}", self.schedule);
    }

    fn start(&mut self, slot: Timestamp, missed: Option<Timestamp>) -> Told {
        let run = child::of_slot(&self.schedule, slot);
        let name = run.name_any();
        if self.foreign.contains(&name) {
            return self.view().taken(slot, &name);
        }
        if self.create(&run) {
            self.started.push((slot, self.now));
        }
        self.view().created(slot, missed, &name)
    }

    /// Whether it was not there already.
    fn create(&mut self, run: &TaranaSync) -> bool {
        let known = self.runs.iter().any(|known| known.name_any() == run.name_any());
        if !known {
            let mut run = run.clone();
            run.metadata.creation_timestamp = Some(Time(self.now));
            self.runs.push(Arc::new(run));
        }
        !known
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
                "so it ended",
                None,
                self.now,
            );
            run.status = Some(status);
        }
    }

    pub fn end_all(&mut self, phase: Phase) {
        for name in crate::schedule::history::active(&self.runs) {
            self.end(&name, phase);
        }
    }

    pub fn reason(&self, type_: &str) -> Option<(String, String)> {
        let status = self.schedule.status.as_ref().unwrap();
        condition::find(&status.conditions, type_).map(|c| (c.status.clone(), c.reason.clone()))
    }

    pub fn is(&self, type_: &str, status: &str, reason: Reason) {
        let expected = Some((status.to_owned(), reason.to_string()));
        assert_eq!(self.reason(type_), expected, "{:#?}", self.schedule.status);
    }

    pub fn told(&self) -> Vec<Reason> {
        self.news.iter().map(|news| news.reason).collect()
    }
}
