//! The controller of `TaranaSync`: observe → decide → act once → record, until nothing is left to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{self, Config, Controller};

use super::context::{SyncContext, connection_key, is_final};
use super::machine::{self, Action, Observed};
use super::run::{Next, SyncRun, now};
use crate::api::sync::TaranaSync;
use crate::cluster::ReconcileError;
use crate::connection::Key;

/// Maximum number of concurrent reconciles. A listing takes some megabytes, so the number is bounded.
const CONCURRENCY: u16 = 256;

/// Runs until its streams end.
pub async fn run(context: Arc<SyncContext>, objects: impl Stream<Item = Arc<TaranaSync>> + Send + 'static) {
    let uses = |sync: &TaranaSync, changed: &Key| !is_final(sync) && connection_key(sync) == *changed;
    let affected = context
        .connections
        .objects_to_requeue(context.reader.clone(), uses);
    // Most objects are finished runs, which all arrive at start-up.
    let unsettled = objects.filter(|sync| ready(!machine::is_settled(sync, now())));
    Controller::for_shared_stream(unsettled, context.reader.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(affected)
        .run(reconcile, |sync, error, _| on_error(&sync, error), context)
        .for_each(|_| ready(()))
        .await;
}

fn on_error(sync: &TaranaSync, error: &ReconcileError) -> controller::Action {
    match error {
        // The cache will receive what the other writer wrote.
        ReconcileError::Conflict => controller::Action::requeue(Duration::from_secs(1)),
        ReconcileError::Kubernetes(error) => {
            tracing::warn!(sync = sync.name_any(), %error, "a request to the Kubernetes API failed, retrying in 5 s");
            controller::Action::requeue(Duration::from_secs(5))
        }
    }
}

/// kube creates a future per object at start-up. Boxed, it takes memory only while it runs.
async fn reconcile(
    sync: Arc<TaranaSync>,
    context: Arc<SyncContext>,
) -> Result<controller::Action, ReconcileError> {
    Box::pin(reconcile_run(sync, context)).await
}

async fn reconcile_run(
    sync: Arc<TaranaSync>,
    context: Arc<SyncContext>,
) -> Result<controller::Action, ReconcileError> {
    if context.cache_is_stale(&sync) {
        return Ok(controller::Action::await_change());
    }
    let mut run = SyncRun::new(&context, (*sync).clone());
    loop {
        let (gate, pending_end) = (run.gate(), run.pending_end());
        let observed = Observed {
            sync: run.sync(),
            gate: &gate,
            attempt: run.attempt_state(),
            pending_end: pending_end.as_ref(),
            now: now(),
        };
        let next = match machine::decide(observed) {
            Action::Requeue(after) => Next::Requeue(after),
            Action::AwaitChange => Next::AwaitChange,
            Action::AddFinalizer => run.add_finalizer().await?,
            Action::Wait(reason, after) => run.wait(&reason, after).await?,
            Action::Open { attempt, resumed } => run.open(attempt, resumed).await?,
            Action::Fetch => run.fetch().await?,
            Action::Apply => run.apply().await?,
            Action::Terminate(termination) => run.terminate(&termination).await?,
            Action::Finalize => run.finalize().await?,
            Action::ObserveGeneration => run.observe_generation().await?,
            Action::Delete => run.delete().await?,
        };
        match next {
            Next::Continue => {}
            Next::Requeue(after) => return Ok(controller::Action::requeue(unsigned(after))),
            Next::AwaitChange => return Ok(controller::Action::await_change()),
        }
    }
}

fn unsigned(d: SignedDuration) -> Duration {
    d.max(SignedDuration::ZERO).unsigned_abs()
}
