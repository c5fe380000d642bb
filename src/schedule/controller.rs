//! The controller of `TaranaSyncSchedule`: observe → decide → act once → record, until nothing is left to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::SignedDuration;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tracing::Instrument as _;

use super::actions::ScheduleReconcile;
use super::context::{ScheduleContext, connection_key};
use super::decide::{Action, decide};
use super::run_template;
use crate::api::connection::TaranaConnection;
use crate::api::schedule::{SlotOutcome, TaranaSyncSchedule};
use crate::api::sync::TaranaSync;
use crate::cluster::{ReconcileError, Scope, owning_schedule, rejected_writes};
use crate::connection::Key;
use crate::fault::Reason;
use crate::notify::EventSpec;
use crate::trace::live;

/// Maximum number of concurrent reconciles, which bounds the concurrent requests to the Kubernetes API.
const CONCURRENCY: u16 = 16;
/// Requeue interval while a change of a run is awaited, in case its watch event does not come.
const FALLBACK_REQUEUE: Duration = Duration::from_mins(1);

/// Runs until its streams end.
pub async fn run(context: Arc<ScheduleContext>, scope: &Scope) {
    let schedules = context.reader.clone();
    // A schedule depends on whether its connection exists, and on nothing else of it.
    let connections = scope.connections.objects_by(ResourceExt::uid);
    let schedules_of_connection = move |connection: Arc<TaranaConnection>| {
        let key = Key::of(&connection);
        let users = schedules.state_filter(|schedule| connection_key(schedule) == key);
        users
            .iter()
            .map(|s| ObjectRef::from_obj(s.as_ref()))
            .collect::<Vec<_>>()
    };
    let owner_of_run = |run: Arc<TaranaSync>| {
        // A run that no schedule owns may have the name of a slot's run.
        let name = run.name_any();
        let owner = owning_schedule(&run).map(|(name, _)| name);
        let schedule = owner.or_else(|| run_template::schedule_of_slot_name(&name))?;
        Some(ObjectRef::new(schedule).within(&run.namespace()?))
    };
    Controller::for_shared_stream(scope.schedules.objects(), context.reader.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_shared_stream(connections, schedules_of_connection)
        .watches_shared_stream(scope.syncs.objects(), owner_of_run)
        .run(
            reconcile,
            |schedule, error: &ReconcileError, _| error.requeue(schedule.as_ref()),
            context,
        )
        .for_each(|_| ready(()))
        .await;
}

/// kube creates a future per object at start-up. Boxed, it takes memory only while it runs.
async fn reconcile(
    schedule: Arc<TaranaSyncSchedule>,
    context: Arc<ScheduleContext>,
) -> Result<controller::Action, ReconcileError> {
    let (namespace, name) = (schedule.namespace().unwrap_or_default(), schedule.name_any());
    let outcomes = SlotOutcome::ALL.map(SlotOutcome::as_str);
    context.metrics.runs.schedule_seen((&namespace, &name), &outcomes);
    let span = live::schedule(&namespace, &name);
    let reconcile = Box::pin(reconcile_schedule(schedule.clone(), context.clone()).instrument(span));
    let measured = &context.metrics.reconciles;
    let result = measured
        .measure("TaranaSyncSchedule", ReconcileError::outcome, reconcile)
        .await;
    if let Err(ReconcileError::Rejected(message)) = &result {
        let event = EventSpec::warning(Reason::InvalidObject, rejected_writes(message));
        context.notifier.publish(&schedule.object_ref(&()), &event).await;
    }
    result
}

async fn reconcile_schedule(
    schedule: Arc<TaranaSyncSchedule>,
    context: Arc<ScheduleContext>,
) -> Result<controller::Action, ReconcileError> {
    if context.cache_is_stale(&schedule) {
        return Ok(controller::Action::await_change());
    }
    let mut reconcile = ScheduleReconcile::new(&context, (*schedule).clone());
    loop {
        let action = decide(&reconcile.snapshot().observed());
        match action {
            Action::UpdateStatus(update) => reconcile.update_status(*update).await?,
            Action::RunNow(request) => reconcile.run_now(&request).await?,
            Action::StartSlot(slot) => reconcile.start_slot(slot).await?,
            // The watch event of the run triggers the next reconcile.
            Action::Cancel(run) => {
                reconcile.cancel(&run).await?;
                return Ok(controller::Action::requeue(FALLBACK_REQUEUE));
            }
            Action::Delete(run) => {
                reconcile.delete(&run).await?;
                return Ok(controller::Action::requeue(FALLBACK_REQUEUE));
            }
            Action::Requeue(after) => return Ok(controller::Action::requeue(unsigned(after))),
            Action::AwaitChange => return Ok(controller::Action::await_change()),
        }
    }
}

fn unsigned(d: SignedDuration) -> Duration {
    d.max(SignedDuration::ZERO).unsigned_abs()
}
