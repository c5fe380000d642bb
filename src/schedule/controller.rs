//! The controller of `TaranaSyncSchedule`: observe → decide → act once → record, until nothing is left to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::ObjectRef;

use super::actions::ScheduleReconcile;
use super::context::{ScheduleContext, connection_key};
use super::decide::{Action, decide};
use crate::api::schedule::TaranaSyncSchedule;
use crate::cluster::ReconcileError;
use crate::connection::Key;

/// Maximum number of concurrent reconciles, which bounds the concurrent requests to the Kubernetes API.
const CONCURRENCY: u16 = 16;
/// Requeue interval while a change of a run is awaited, in case its watch event does not come.
const FALLBACK_REQUEUE: Duration = Duration::from_mins(1);

/// Runs until its streams end. `owners_to_requeue` are the schedules whose runs changed.
pub async fn run(
    context: Arc<ScheduleContext>,
    objects: impl Stream<Item = Arc<TaranaSyncSchedule>> + Send + 'static,
    owners_to_requeue: impl Stream<Item = ObjectRef<TaranaSyncSchedule>> + Send + 'static,
) {
    let uses = |schedule: &TaranaSyncSchedule, changed: &Key| connection_key(schedule) == *changed;
    let affected = context
        .connections
        .objects_to_requeue(context.reader.clone(), uses);
    Controller::for_shared_stream(objects, context.reader.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(stream::select(owners_to_requeue, affected))
        .run(
            reconcile,
            |schedule, error, _| on_error(&schedule, error),
            context,
        )
        .for_each(|_| ready(()))
        .await;
}

fn on_error(schedule: &TaranaSyncSchedule, error: &ReconcileError) -> controller::Action {
    match error {
        // The cache will receive what the other writer wrote.
        ReconcileError::Conflict => controller::Action::requeue(Duration::from_secs(1)),
        ReconcileError::Kubernetes(error) => {
            tracing::warn!(schedule = schedule.name_any(), %error, "a request to the Kubernetes API failed, retrying in 5 s");
            controller::Action::requeue(Duration::from_secs(5))
        }
    }
}

/// kube creates a future per object at start-up. Boxed, it takes memory only while it runs.
async fn reconcile(
    schedule: Arc<TaranaSyncSchedule>,
    context: Arc<ScheduleContext>,
) -> Result<controller::Action, ReconcileError> {
    Box::pin(reconcile_schedule(schedule, context)).await
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
            Action::RunNow(value) => reconcile.run_now(&value).await?,
            Action::StartSlot(slot, missed) => reconcile.start_slot(slot, missed).await?,
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
