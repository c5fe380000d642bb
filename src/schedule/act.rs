//! What each decision does to the world. Every write of the status carries the resourceVersion of what the turn saw, so
//! that a process that was overtaken is refused.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::child;
use super::context::Context;
use super::cron::Cron;
use super::pattern::Invalid;
use super::status::{Told, View};
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{self, Error, gone_is_fine};
use crate::notify::News;

/// The turns of one schedule.
pub(super) struct Turn<'a> {
    context: &'a Context,
    cron: Result<Cron, Invalid>,
    /// The newest copy.
    pub schedule: TaranaSyncSchedule,
}

/// What was seen at one moment.
pub(super) struct Observed<'a> {
    turn: &'a Turn<'a>,
    runs: Vec<Arc<TaranaSync>>,
    connected: bool,
    now: Timestamp,
}

/// What became of a run that was to be created.
enum Created {
    /// It exists, and is ours.
    Ours,
    /// Something else has its name.
    Taken,
    /// The API server will not have it.
    Refused(String),
}

impl Observed<'_> {
    pub fn view(&self) -> View<'_> {
        View {
            schedule: &self.turn.schedule,
            cron: &self.turn.cron,
            runs: &self.runs,
            connected: self.connected,
            now: self.now,
        }
    }
}

impl<'a> Turn<'a> {
    pub fn new(context: &'a Context, schedule: TaranaSyncSchedule) -> Self {
        let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone);
        Self {
            context,
            cron,
            schedule,
        }
    }

    pub fn observe(&self) -> Observed<'_> {
        Observed {
            turn: self,
            runs: self.context.runs_of(&self.schedule),
            connected: self.context.is_connected(&self.schedule),
            now: now(),
        }
    }

    /// Creates the run of a slot, and says so. Creating it a second time finds the first.
    pub async fn start(&mut self, slot: Timestamp, missed: Option<Timestamp>) -> Result<(), Error> {
        let run = child::of_slot(&self.schedule, slot);
        let created = self.create(&run).await?;
        let told = {
            let observed = self.observe();
            match created {
                Created::Ours => observed.view().created(slot, missed, &run.name_any()),
                Created::Taken => observed.view().taken(slot, &run.name_any()),
                Created::Refused(why) => observed.view().refused(slot, &why),
            }
        };
        self.tell(told).await
    }

    /// Creates the run that somebody asked for now, and says so.
    pub async fn request(&mut self, value: &str) -> Result<(), Error> {
        let run = child::of_request(&self.schedule, value);
        let name = run.name_any();
        let news = match self.create(&run).await? {
            Created::Ours => News::normal(
                Reason::Triggered,
                format!("created {name}, asked for by annotation"),
            ),
            Created::Taken => News::warning(
                Reason::NameTaken,
                format!(
                    "no run was created: a TaranaSync {name} exists that this schedule did not create; delete it, and ask again with another value"
                ),
            ),
            Created::Refused(why) => News::warning(Reason::RunRefused, format!("no run was created: {why}")),
        };
        let told = self.observe().view().requested(value, news);
        self.tell(told).await
    }

    async fn create(&self, run: &TaranaSync) -> Result<Created, Error> {
        let (runs, name) = (self.runs(), run.name_any());
        match runs.create(&PostParams::default(), run).await {
            Ok(created) => {
                self.context.created(&self.schedule, created);
                Ok(Created::Ours)
            }
            Err(kube::Error::Api(e)) if e.code == 409 => {
                let there = runs.get_opt(&name).await?.ok_or(Error::Overtaken)?;
                if !child::is_of(&self.schedule, &there) {
                    return Ok(Created::Taken);
                }
                self.context.created(&self.schedule, there);
                Ok(Created::Ours)
            }
            Err(kube::Error::Api(e)) if [400, 422].contains(&e.code) => {
                Ok(Created::Refused(e.message.clone()))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Writes the status if it says anything new, then publishes what is news.
    pub async fn tell(&mut self, told: Told) -> Result<(), Error> {
        if self.schedule.status.as_ref() != Some(&told.status) {
            let next = TaranaSyncSchedule {
                status: Some(told.status),
                ..self.schedule.clone()
            };
            let api: Api<TaranaSyncSchedule> =
                Api::namespaced(self.context.client.clone(), &self.namespace());
            self.schedule = match api
                .replace_status(&next.name_any(), &PostParams::default(), &next)
                .await
            {
                Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => return Err(Error::Overtaken),
                written => written?,
            };
            self.context.wrote(&self.schedule);
        }
        for news in &told.news {
            self.context
                .notifier
                .publish(&self.schedule.object_ref(&()), news)
                .await;
        }
        Ok(())
    }

    /// Has a run of this schedule end.
    pub async fn cancel(&self, run: &TaranaSync) -> Result<(), Error> {
        let patch = json!({"metadata": {"uid": run.metadata.uid}, "spec": {"cancel": true}});
        let params = PatchParams::default();
        gone_is_fine(
            self.runs()
                .patch(&run.name_any(), &params, &Patch::Merge(&patch))
                .await,
        )
    }

    /// Deletes a run of this schedule, and no other of the same name.
    pub async fn tidy(&self, run: &TaranaSync) -> Result<(), Error> {
        cluster::delete(&self.runs(), run).await
    }

    fn runs(&self) -> Api<TaranaSync> {
        Api::namespaced(self.context.client.clone(), &self.namespace())
    }

    fn namespace(&self) -> String {
        self.schedule.namespace().unwrap_or_default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
