//! The controller of `TaranaSync`: observe → decide → act once → record, until nothing is left to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use tracing::Instrument as _;

use super::clock::now;
use super::context::SyncContext;
use super::deleted;
use super::machine::{self, Action, Observed};
use super::run::{Next, SyncRun, log_span};
use crate::api::condition;
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::cluster::{ReconcileError, Scope, unfinished_on};
use crate::connection::Key;
use crate::trace::live;

/// Maximum number of concurrent reconciles. How many of them read or write is bounded by `concurrency`.
const CONCURRENCY: u16 = 256;

/// Runs until its streams end.
pub async fn run(
    context: Arc<SyncContext>,
    scope: &Scope,
    requeued: UnboundedReceiver<ObjectRef<TaranaSync>>,
) {
    // Most objects are finished runs, which all arrive at start-up.
    let unsettled = scope
        .syncs
        .objects()
        .filter(|sync| ready(!machine::is_settled(sync, now())));
    // What the gate of a run shows of its connection.
    let connections = scope.connections.objects_by(|connection| {
        let conditions = connection
            .status
            .as_ref()
            .map(|s| s.conditions.clone())
            .unwrap_or_default();
        let ready = condition::find(&conditions, condition::READY);
        let ready = ready.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()));
        (
            connection.metadata.uid.clone(),
            connection.metadata.generation,
            ready,
        )
    });
    let syncs = scope.syncs.clone();
    let unfinished_runs = move |connection: Arc<TaranaConnection>| {
        let Key { namespace, name } = Key::of(&connection);
        let runs = syncs.find(&unfinished_on(&namespace, &name));
        runs.iter()
            .map(|run| ObjectRef::from_obj(run.as_ref()))
            .collect::<Vec<_>>()
    };
    let (deletions, deleted) = unbounded();
    let (queue, closing) = (context.clone(), context.clone());
    let ends = scope.syncs.changes().inspect(move |sync| {
        if queue.is_over(sync) {
            queue.slots.leave(&sync.uid().unwrap_or_default());
            queue.requeue_next_after(sync);
        }
        if queue.take_deleted(sync) {
            // Fails only if the controller has ended.
            let _ = deletions.unbounded_send(sync.clone());
        }
    });
    let controller = Controller::for_shared_stream(unsettled, scope.syncs.reader())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_shared_stream(connections, unfinished_runs)
        .reconcile_on(requeued)
        .run(
            reconcile,
            |sync, error: &ReconcileError, _| error.requeue(sync.as_ref()),
            context,
        )
        .for_each(|_| ready(()));
    tokio::select! {
        () = controller => {}
        () = ends.for_each(|_| ready(())) => {}
        () = deleted::close_rows(&closing, deleted) => {}
    }
}

/// kube creates a future per object at start-up. Boxed, it takes memory only while it runs.
async fn reconcile(
    sync: Arc<TaranaSync>,
    context: Arc<SyncContext>,
) -> Result<controller::Action, ReconcileError> {
    let span = log_span(&sync);
    let reconcile = async move {
        let reconcile = Box::pin(reconcile_run(sync.clone(), context.clone()));
        let measured = &context.metrics.reconciles;
        let result = measured
            .measure("TaranaSync", ReconcileError::outcome, reconcile)
            .await;
        if let Err(ReconcileError::Rejected(message)) = &result {
            SyncRun::new(&context, (*sync).clone())
                .give_up_writing(message)
                .await;
        }
        result
    };
    Box::pin(reconcile.instrument(span)).await
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
            now: run.now(),
        };
        let action = machine::decide(observed);
        let next = match run.admit(action) {
            Action::Requeue(after) => run.continue_back_off(after),
            Action::AwaitChange => Next::AwaitChange,
            Action::AddFinalizer => run.add_finalizer().await?,
            Action::Wait(reason, after) => run.wait(&reason, after).await?,
            Action::Open { attempt, resumed } => run.open(attempt, resumed).await?,
            Action::Fetch => {
                let span = run.step_span(live::fetch);
                run.fetch().instrument(span).await?
            }
            Action::Apply => {
                let span = run.step_span(live::apply);
                run.apply().instrument(span).await?
            }
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
