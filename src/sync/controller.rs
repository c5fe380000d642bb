//! Gives every run its turns: observe → decide → act once → record, until there is nothing to do.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;

use super::context::{Context, is_final, key};
use super::machine::{self, Action as Next, Seen};
use super::record::Error;
use super::run::{Flow, Run, now};
use crate::api::sync::TaranaSync;

/// Runs until its streams end.
pub async fn run(
    context: Arc<Context>,
    objects: impl Stream<Item = Result<TaranaSync, watcher::Error>> + Send + 'static,
) {
    context.connections.known().await;
    let waiting = context.clone();
    let woken = context.connections.changes().flat_map(move |changed| {
        let on_it = |s: &TaranaSync| !is_final(s) && key(s) == changed;
        stream::iter(
            waiting
                .reader
                .state_filter(on_it)
                .iter()
                .map(|s| ObjectRef::from_obj(s.as_ref()))
                .collect::<Vec<_>>(),
        )
    });
    Controller::for_stream(objects, context.reader.clone())
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

/// All turns that a run can take now.
async fn reconcile(sync: Arc<TaranaSync>, context: Arc<Context>) -> Result<Action, Error> {
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
