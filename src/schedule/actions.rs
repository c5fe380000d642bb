//! The effect of each action. A status is written with the resourceVersion that was observed, so that a fenced process gets a
//! conflict.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::context::ScheduleContext;
use super::observed::{Observed, Refusal};
use super::status::StatusWithEvents;
use super::trigger::TriggerRequest;
use super::{run_template, slot_history};
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::cluster::{self, ReconcileError, ignore_gone};
use crate::cron::{Cron, InvalidCron};
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
    name_is_taken: bool,
    refusal: Option<Refusal>,
    started_slot: Option<Timestamp>,
    now: Timestamp,
}

/// Result of creating a run.
enum CreateResult {
    /// The run was created.
    Created(TaranaSync),
    /// The run belongs to the schedule and was created before.
    Exists(TaranaSync),
    /// An object that does not belong to the schedule has the name.
    NameTaken,
    /// The API server rejects the content of the run, with this message.
    Rejected(String),
    /// The API server refuses to create the run, with this message: a quota, an admission webhook, missing permissions.
    Refused(String),
}

impl Snapshot<'_> {
    pub fn observed(&self) -> Observed<'_> {
        Observed {
            schedule: &self.reconcile.schedule,
            cron: &self.reconcile.cron,
            runs: &self.runs,
            name_is_taken: self.name_is_taken,
            connection_exists: self.connection_exists,
            selector: self.reconcile.context.runs.selector(),
            refusal: self.refusal.as_ref(),
            started_slot: self.started_slot,
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
            name_is_taken: self.context.name_is_taken(&self.schedule),
            connection_exists: self.context.connection_exists(&self.schedule),
            refusal: self.context.refusal(&self.schedule),
            started_slot: self.context.started_slot(&self.schedule),
            now: now(),
        }
    }

    /// Creates the run of a slot and records it. Idempotent: a second call finds the run of the first.
    pub async fn start_slot(&mut self, slot: Timestamp) -> Result<(), ReconcileError> {
        let run = run_template::run_for_slot(&self.schedule, slot, self.context.runs.selector());
        let result = self.create(&run).await?;
        if let CreateResult::Refused(message) = &result {
            self.context.record_refusal(&self.schedule, slot, message);
        }
        let update = {
            let snapshot = self.snapshot();
            let observed = snapshot.observed();
            match result {
                CreateResult::Created(run) | CreateResult::Exists(run) => observed.run_created(slot, &run),
                CreateResult::NameTaken => observed.name_taken(slot, &run.name_any()),
                CreateResult::Rejected(message) => observed.run_rejected(slot, &message),
                CreateResult::Refused(_) => observed.current_status(),
            }
        };
        self.update_status(update).await
    }

    /// Creates the run that the trigger annotation requests and records it.
    pub async fn run_now(&mut self, request: &TriggerRequest) -> Result<(), ReconcileError> {
        let run = run_template::run_for_request(&self.schedule, request, self.context.runs.selector());
        let name = run.name_any();
        let event = match self.create(&run).await? {
            CreateResult::Created(run) => EventSpec::normal(
                Reason::Triggered,
                format!("created {name}, as requested by annotation"),
            )
            .with_related(&run),
            // After a crash before the status was written, or because the annotation has an earlier value again.
            CreateResult::Exists(run) => EventSpec::normal(
                Reason::Triggered,
                format!(
                    "{name} is the run of this request and was created at {}: for another run, set the annotation to the current time",
                    created_at(&run)
                ),
            )
            .with_related(&run),
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
            CreateResult::Refused(message) => EventSpec::warning(
                Reason::RunRefused,
                format!(
                    "no run was created: to try again, set the annotation to the current time, the API server refused the run: {message}"
                ),
            ),
        };
        let update = self.snapshot().observed().request_handled(&request.value, event);
        self.update_status(update).await
    }

    async fn create(&self, run: &TaranaSync) -> Result<CreateResult, ReconcileError> {
        let (runs, name) = (self.runs(), run.name_any());
        match runs.create(&PostParams::default(), run).await {
            Ok(created) => {
                self.context.record_created(&self.schedule, created.clone());
                Ok(CreateResult::Created(created))
            }
            Err(kube::Error::Api(e)) if e.code == 409 => {
                let existing = runs.get_opt(&name).await?.ok_or(ReconcileError::Conflict)?;
                if !run_template::owns(&self.schedule, &existing) {
                    return Ok(CreateResult::NameTaken);
                }
                self.context.record_created(&self.schedule, existing.clone());
                Ok(CreateResult::Exists(existing))
            }
            Err(kube::Error::Api(e)) if [400, 422].contains(&e.code) => {
                Ok(CreateResult::Rejected(e.message.clone()))
            }
            Err(kube::Error::Api(e)) if is_refusal(e.code) => Ok(CreateResult::Refused(e.message.clone())),
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
            let handled = slot_history::new_outcomes(self.schedule.status.as_ref(), next.status.as_ref());
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
            let (namespace, name) = (self.namespace(), self.schedule.name_any());
            for outcome in handled {
                let metrics = &self.context.metrics.runs;
                metrics.slot_handled((&namespace, &name), outcome.as_str());
            }
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

/// Whether a request failed because the API server does not want it, and not because of an outage. A quota, a webhook and missing
/// permissions are 403, a webhook can choose another code, and one that cannot be called is 500.
fn is_refusal(code: u16) -> bool {
    (400..=500).contains(&code) && ![401, 404, 408, 409, 429].contains(&code)
}

fn created_at(run: &TaranaSync) -> String {
    let created = run.metadata.creation_timestamp.as_ref();
    created.map(|t| t.0.to_string()).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
