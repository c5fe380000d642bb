//! Gives every run its turns: observe → decide → act once → record, until there is nothing to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config, Controller};

use super::context::{Context, is_final, key};
use super::machine::{self, Action as Next, Seen};
use super::run::{Flow, Run, now};
use crate::api::sync::TaranaSync;
use crate::cluster::Error;
use crate::connection::Key;

/// Runs whose turns are taken at once. A reading is some megabytes, so there is an end to it.
const AT_ONCE: u16 = 256;

/// Runs until its streams end.
pub async fn run(context: Arc<Context>, objects: impl Stream<Item = Arc<TaranaSync>> + Send + 'static) {
    let on_it = |sync: &TaranaSync, changed: &Key| !is_final(sync) && key(sync) == *changed;
    let woken = context.connections.wakes(context.reader.clone(), on_it);
    // Finished runs are the most by far, and come all at once at the start.
    let unsettled = objects.filter(|sync| ready(!machine::is_settled(sync, now())));
    Controller::for_shared_stream(unsettled, context.reader.clone())
        .with_config(Config::default().concurrency(AT_ONCE))
        .reconcile_on(woken)
        .run(reconcile, |sync, error, _| on_error(&sync, error), context)
        .for_each(|_| ready(()))
        .await;
}

fn on_error(sync: &TaranaSync, error: &Error) -> Action {
    match error {
        // The cache brings what the other one wrote.
        Error::Overtaken => Action::requeue(Duration::from_secs(1)),
        Error::Kubernetes(error) => {
            tracing::warn!(sync = sync.name_any(), %error, "the Kubernetes API could not be used, trying again in 5 s");
            Action::requeue(Duration::from_secs(5))
        }
    }
}

/// At the start every object is a task at once: where the turns are boxed, they take memory only while they are taken.
async fn reconcile(sync: Arc<TaranaSync>, context: Arc<Context>) -> Result<Action, Error> {
    Box::pin(turns(sync, context)).await
}

/// All turns that a run can take now.
async fn turns(sync: Arc<TaranaSync>, context: Arc<Context>) -> Result<Action, Error> {
    if context.is_behind(&sync) {
        return Ok(Action::await_change());
    }
    let mut run = Run::of(&context, (*sync).clone());
    loop {
        let (gate, due) = (run.gate(), run.due());
        let seen = Seen {
            sync: run.sync(),
            gate: &gate,
            hand: run.hand(),
            due: due.as_ref(),
            now: now(),
        };
        let flow = match machine::decide(seen) {
            Next::Rest(again) => Flow::Rest(again),
            Next::Adopt => run.adopt().await?,
            Next::Wait(why, again) => run.wait(&why, again).await?,
            Next::Open { attempt, resumed } => run.open(attempt, resumed).await?,
            Next::Fetch => run.fetch().await?,
            Next::Apply => run.apply().await?,
            Next::End(end) => run.end(&end).await?,
            Next::Announce => run.announce().await?,
            Next::Acknowledge => run.acknowledge().await?,
            Next::Delete => run.delete().await?,
        };
        if let Flow::Rest(again) = flow {
            return Ok(again.map_or_else(Action::await_change, |d| Action::requeue(unsigned(d))));
        }
    }
}

fn unsigned(d: SignedDuration) -> Duration {
    d.max(SignedDuration::ZERO).unsigned_abs()
}
