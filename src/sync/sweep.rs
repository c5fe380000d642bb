//! The sweeper: closes abandoned log rows as soon as a connection is verified, which covers start-up, and every few minutes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;
use uuid::Uuid;

use super::context::SyncContext;
use super::due_connections::DueConnections;
use super::results;
use crate::api::sync::TaranaSync;
use crate::connection::{ConnectionClients, Key};
use crate::fault::Reason;
use crate::store::{Outcome, SweepScope, SweptEnd};
use crate::trace::live;

/// How often connections are looked for that were not swept for a while.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How often a connection is swept.
const SWEEP_INTERVAL: Duration = Duration::from_mins(2);
/// A younger row may belong to an object that the watch cache does not have yet.
const GRACE: Duration = Duration::from_mins(1);
/// Connections that are swept at the same time. A database that does not answer delays the others by its timeout only.
const CONCURRENCY: usize = 16;

/// Runs forever. The caches must be synced: with an empty cache every run would look abandoned.
pub async fn run(context: Arc<SyncContext>) {
    let mut ticks = interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connections = DueConnections::every(SWEEP_INTERVAL);
    let mut pruned_at = Instant::now();
    loop {
        ticks.tick().await;
        if pruned_at.elapsed() >= SWEEP_INTERVAL {
            context.prune();
            pruned_at = Instant::now();
        }
        stream::iter(connections.take(&context.connections))
            .for_each_concurrent(CONCURRENCY, |(key, clients)| {
                let context = &context;
                let span = live::connection(&key.namespace, &key.name);
                async move { sweep(context, &key, &clients).await }.instrument(span)
            })
            .await;
    }
}

/// The runs of a namespace.
struct Runs {
    unfinished: Vec<Uuid>,
    finished: HashMap<Uuid, Arc<TaranaSync>>,
    /// Why the objects that cannot be decoded cannot.
    invalid: HashMap<Uuid, String>,
}

impl Runs {
    fn of(context: &SyncContext, namespace: &str) -> Self {
        let id = |uid: Option<&String>| uid.and_then(|uid| uid.parse::<Uuid>().ok());
        let is_here = |run: &TaranaSync| run.metadata.namespace.as_deref() == Some(namespace);
        let (mut unfinished, mut finished) = (Vec::new(), HashMap::new());
        for sync in context.reader().state_filter(is_here) {
            match id(sync.metadata.uid.as_ref()) {
                Some(id) if sync.is_final() => drop(finished.insert(id, sync)),
                Some(id) => unfinished.push(id),
                None => {}
            }
        }
        let invalid = context.syncs.invalid();
        let invalid = invalid.borrow();
        let invalid = invalid
            .values()
            .filter_map(|i| Some((id(i.metadata.uid.as_ref())?, i.error.clone())));
        Self {
            unfinished,
            finished,
            invalid: invalid.collect(),
        }
    }

    /// How the row of a run that is not live is closed: with the reason of the object, if there is one.
    fn end(&self, id: Uuid) -> SweptEnd {
        if let Some(sync) = self.finished.get(&id) {
            return results::swept(sync);
        }
        let (reason, message) = self.invalid.get(&id).map_or_else(
            || {
                let message = "no process was left to continue this run";
                (Reason::Abandoned, message.to_owned())
            },
            |error| {
                (
                    Reason::InvalidObject,
                    format!("its object cannot be decoded: {error}"),
                )
            },
        );
        SweptEnd {
            outcome: Outcome::Failed,
            reason,
            message,
        }
    }
}

async fn sweep(context: &SyncContext, connection: &Key, clients: &ConnectionClients) {
    // Read right before: the row of a run that is created later is younger than the grace.
    let runs = Runs::of(context, &connection.namespace);
    let scope = SweepScope {
        connection_uid: clients.uid,
        cluster_uid: context.cluster_uid,
        namespace: &connection.namespace,
        live: &runs.unfinished,
        grace: GRACE,
    };
    match clients.store.sweep(&scope, |id| runs.end(id)).await {
        Ok(closed) if closed.is_empty() => {}
        Ok(closed) => {
            tracing::warn!(?closed, "abandoned log rows were closed");
        }
        Err(fault) => {
            tracing::warn!(%fault, "log rows could not be swept");
        }
    }
}
