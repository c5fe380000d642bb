//! The effect of each action. A status is written with the resourceVersion that was observed, so that a fenced process gets a
//! conflict.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::context::ScheduleContext;
use super::cron::Cron;
use super::observed::Observed;
use super::pattern::InvalidCron;
use super::run_template;
use super::status::StatusWithEvents;
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{self, ReconcileError, ignore_gone};
use crate::notify::EventSpec;

/// One schedule in one reconcile.
pub(super) struct ScheduleReconcile<'a> {
    context: &'a ScheduleContext,
    cron: Result<Cron, InvalidCron>,
    /// The newest version of the object.
    schedule: TaranaSyncSchedule,
}

/// The state at one time, with its own copy of the runs.
pub(super) struct Snapshot<'a> {
    reconcile: &'a ScheduleReconcile<'a>,
    runs: Vec<Arc<TaranaSync>>,
    connection_exists: bool,
    now: Timestamp,
}

/// Result of creating a run.
enum CreateResult {
    /// The run exists and belongs to the schedule.
    Owned,
    /// An object that does not belong to the schedule has the name.
    NameTaken,
    /// The API server rejected the run, with this message.
    Rejected(String),
}

impl Snapshot<'_> {
    pub fn observed(&self) -> Observed<'_> {
        Observed {
            schedule: &self.reconcile.schedule,
            cron: &self.reconcile.cron,
            runs: &self.runs,
            connection_exists: self.connection_exists,
            now: self.now,
        }
    }
}

impl<'a> ScheduleReconcile<'a> {
    pub fn new(context: &'a ScheduleContext, schedule: TaranaSyncSchedule) -> Self {
        let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone);
        Self {
            context,
            cron,
            schedule,
        }
    }

    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            reconcile: self,
            runs: self.context.runs_of(&self.schedule),
            connection_exists: self.context.connection_exists(&self.schedule),
            now: now(),
        }
    }

    /// Creates the run of a slot and records it. Idempotent: a second call finds the run of the first.
    pub async fn start_slot(
        &mut self,
        slot: Timestamp,
        missed: Option<Timestamp>,
    ) -> Result<(), ReconcileError> {
        let run = run_template::run_for_slot(&self.schedule, slot);
        let result = self.create(&run).await?;
        let update = {
            let snapshot = self.snapshot();
            let observed = snapshot.observed();
            match result {
                CreateResult::Owned => observed.run_created(slot, missed, &run.name_any()),
                CreateResult::NameTaken => observed.name_taken(slot, &run.name_any()),
                CreateResult::Rejected(message) => observed.run_rejected(slot, &message),
            }
        };
        self.update_status(update).await
    }

    /// Creates the run that the trigger annotation requests and records it.
    pub async fn run_now(&mut self, value: &str) -> Result<(), ReconcileError> {
        let run = run_template::run_for_request(&self.schedule, value);
        let name = run.name_any();
        let event = match self.create(&run).await? {
            CreateResult::Owned => EventSpec::normal(
                Reason::Triggered,
                format!("created {name}, as requested by annotation"),
            ),
            CreateResult::NameTaken => EventSpec::warning(
                Reason::NameTaken,
                format!(
                    "no run was created: a TaranaSync {name} exists that this schedule did not create; delete it and set the annotation to another value"
                ),
            ),
            CreateResult::Rejected(message) => EventSpec::warning(
                Reason::RunRefused,
                format!(
                    "no run was created: correct spec.template and set the annotation to another value, the API server rejected the run: {message}"
                ),
            ),
        };
        let update = self.snapshot().observed().request_handled(value, event);
        self.update_status(update).await
    }

    async fn create(&self, run: &TaranaSync) -> Result<CreateResult, ReconcileError> {
        let (runs, name) = (self.runs(), run.name_any());
        match runs.create(&PostParams::default(), run).await {
            Ok(created) => {
                self.context.record_created(&self.schedule, created);
                Ok(CreateResult::Owned)
            }
            Err(kube::Error::Api(e)) if e.code == 409 => {
                let existing = runs.get_opt(&name).await?.ok_or(ReconcileError::Conflict)?;
                if !run_template::owns(&self.schedule, &existing) {
                    return Ok(CreateResult::NameTaken);
                }
                self.context.record_created(&self.schedule, existing);
                Ok(CreateResult::Owned)
            }
            Err(kube::Error::Api(e)) if [400, 422].contains(&e.code) => {
                Ok(CreateResult::Rejected(e.message.clone()))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Writes the status if it changed, then publishes the Events.
    pub async fn update_status(&mut self, update: StatusWithEvents) -> Result<(), ReconcileError> {
        if self.schedule.status.as_ref() != Some(&update.status) {
            let next = TaranaSyncSchedule {
                status: Some(update.status),
                ..self.schedule.clone()
            };
            let api: Api<TaranaSyncSchedule> =
                Api::namespaced(self.context.client.clone(), &self.namespace());
            self.schedule = match api
                .replace_status(&next.name_any(), &PostParams::default(), &next)
                .await
            {
                Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => {
                    return Err(ReconcileError::Conflict);
                }
                written => written?,
            };
            self.context.record_version(&self.schedule);
        }
        for event in &update.events {
            self.context
                .notifier
                .publish(&self.schedule.object_ref(&()), event)
                .await;
        }
        Ok(())
    }

    /// Cancels a run of this schedule. The patch names the uid, so that it fails on a new object of the same name.
    pub async fn cancel(&self, run: &TaranaSync) -> Result<(), ReconcileError> {
        let patch = json!({"metadata": {"uid": run.metadata.uid}, "spec": {"cancel": true}});
        let params = PatchParams::default();
        ignore_gone(
            self.runs()
                .patch(&run.name_any(), &params, &Patch::Merge(&patch))
                .await,
        )
    }

    /// Deletes a run of this schedule.
    pub async fn delete(&self, run: &TaranaSync) -> Result<(), ReconcileError> {
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
