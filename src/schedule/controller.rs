//! Gives every schedule its turns: observe → decide → act once → record, until there is nothing to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{Action as Requeue, Config, Controller};
use kube::runtime::reflector::ObjectRef;

use super::act::Turn;
use super::context::{Context, key};
use super::turn::{Action, decide};
use crate::api::schedule::TaranaSyncSchedule;
use crate::cluster::Error;
use crate::connection::Key;

/// Schedules whose turns are taken at once: a turn is a few calls of the API, and these are not more at once either.
const AT_ONCE: u16 = 16;
/// For what should wake us and may not.
const A_WHILE: Duration = Duration::from_mins(1);

/// Runs until its streams end. `touched` tells of schedules whose runs changed.
pub async fn run(
    context: Arc<Context>,
    objects: impl Stream<Item = Arc<TaranaSyncSchedule>> + Send + 'static,
    touched: impl Stream<Item = ObjectRef<TaranaSyncSchedule>> + Send + 'static,
) {
    let on_it = |schedule: &TaranaSyncSchedule, changed: &Key| key(schedule) == *changed;
    let woken = context.connections.wakes(context.reader.clone(), on_it);
    Controller::for_shared_stream(objects, context.reader.clone())
        .with_config(Config::default().concurrency(AT_ONCE))
        .reconcile_on(stream::select(touched, woken))
        .run(
            reconcile,
            |schedule, error, _| on_error(&schedule, error),
            context,
        )
        .for_each(|_| ready(()))
        .await;
}

fn on_error(schedule: &TaranaSyncSchedule, error: &Error) -> Requeue {
    match error {
        // The cache brings what the other one wrote.
        Error::Overtaken => Requeue::requeue(Duration::from_secs(1)),
        Error::Kubernetes(error) => {
            tracing::warn!(schedule = schedule.name_any(), %error, "the Kubernetes API could not be used, trying again in 5 s");
            Requeue::requeue(Duration::from_secs(5))
        }
    }
}

/// At the start every object is a task at once: where the turns are boxed, they take memory only while they are taken.
async fn reconcile(schedule: Arc<TaranaSyncSchedule>, context: Arc<Context>) -> Result<Requeue, Error> {
    Box::pin(turns(schedule, context)).await
}

/// All turns that a schedule can take now.
async fn turns(schedule: Arc<TaranaSyncSchedule>, context: Arc<Context>) -> Result<Requeue, Error> {
    if context.is_behind(&schedule) {
        return Ok(Requeue::await_change());
    }
    let mut turn = Turn::new(&context, (*schedule).clone());
    loop {
        let action = decide(&turn.observe().view());
        match action {
            Action::Tell(told) => turn.tell(*told).await?,
            Action::Request(value) => turn.request(&value).await?,
            Action::Start(slot, missed) => turn.start(slot, missed).await?,
            // What becomes of these two, the cache tells, and wakes us.
            Action::Cancel(run) => {
                turn.cancel(&run).await?;
                return Ok(Requeue::requeue(A_WHILE));
            }
            Action::Tidy(run) => {
                turn.tidy(&run).await?;
                return Ok(Requeue::requeue(A_WHILE));
            }
            Action::Rest(again) => {
                let unsigned = |d: SignedDuration| d.max(SignedDuration::ZERO).unsigned_abs();
                return Ok(again.map_or_else(Requeue::await_change, |d| Requeue::requeue(unsigned(d))));
            }
        }
    }
}
