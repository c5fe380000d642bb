//! The sweeper: closes abandoned log rows as soon as a connection is verified, which covers start-up, and every few minutes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;
use uuid::Uuid;

use super::clock::now;
use super::context::SyncContext;
use super::due_connections::DueConnections;
use super::other_shards::{self, UncachedRun};
use super::{machine, results, settle};
use crate::api::sync::TaranaSync;
use crate::connection::{ConnectionClients, Key};
use crate::fault::Reason;
use crate::store::{AbandonedRow, Outcome, SweepScope, Swept, SweptEnd};
use crate::trace::live;

/// How often connections are looked for that were not swept for a while.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How often a connection is swept.
const SWEEP_INTERVAL: Duration = Duration::from_mins(2);
/// How often it is swept while a run of it has ended without its log row.
const UNSETTLED_INTERVAL: Duration = Duration::from_secs(15);
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
    let mut settled = HashSet::new();
    loop {
        ticks.tick().await;
        if pruned_at.elapsed() >= SWEEP_INTERVAL {
            context.prune();
            pruned_at = Instant::now();
        }
        let unsettled = settle::unsettled_connections(&context);
        let interval = |key: &Key| {
            if unsettled.contains(key) {
                UNSETTLED_INTERVAL
            } else {
                SWEEP_INTERVAL
            }
        };
        let due = connections.take_by(&context.connections, interval);
        let swept = stream::iter(due).map(|(key, clients)| {
            let (context, first) = (&context, !settled.contains(&clients.uid));
            let span = live::connection(&key.namespace, &key.name);
            async move {
                sweep(context, &key, &clients).await;
                if !context.lease.is_valid_now() {
                    return None;
                }
                let result = settle::settle(context, &key, &clients, first).await;
                if let Err(fault) = &result {
                    tracing::warn!(%fault, "log rows of ended runs could not be closed or written");
                }
                result.is_ok().then_some(clients.uid)
            }
            .instrument(span)
        });
        let swept: Vec<Option<Uuid>> = swept.buffer_unordered(CONCURRENCY).collect().await;
        settled.extend(swept.into_iter().flatten());
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

    /// The rows that may be closed: not those of runs that the cache does not have because another operator works on them. If such a run has
    /// ended and its row is still open, that operator may have no connection with which it could close it. If it has exceeded its deadline,
    /// there may be no such operator, and the row would block the connection.
    async fn without_other_shards(
        &mut self,
        context: &SyncContext,
        namespace: &str,
        mut rows: Vec<AbandonedRow>,
    ) -> Vec<AbandonedRow> {
        let is_cached =
            |row: &AbandonedRow| self.finished.contains_key(&row.id) || self.invalid.contains_key(&row.id);
        let uncached: Vec<_> = rows.iter().filter(|row| !is_cached(row)).cloned().collect();
        for (id, run) in other_shards::of_rows(context, namespace, &uncached).await {
            match run {
                UncachedRun::Exists(Some(sync)) if sync.is_final() => {
                    self.finished.insert(id, Arc::from(sync));
                }
                UncachedRun::Unknown(error) => {
                    tracing::warn!(sync = %id, %error, "an open log row is kept until it is known whether its run exists");
                    rows.retain(|row| row.id != id);
                }
                UncachedRun::Exists(sync) => {
                    rows.retain(|row| {
                        row.id != id || (!row.is_pending && sync.as_deref().is_some_and(is_overdue))
                    });
                }
                UncachedRun::Gone => {}
            }
        }
        rows
    }

    /// How the row of a run that is not live is closed: with the reason of the object, if there is one.
    fn end(&self, row: &AbandonedRow) -> SweptEnd {
        if let Some(sync) = self.finished.get(&row.id) {
            return results::swept(sync);
        }
        let invalid = self.invalid.get(&row.id);
        if row.is_pending && invalid.is_none() {
            return SweptEnd {
                outcome: Outcome::Cancelled,
                reason: Reason::Cancelled,
                message: machine::OBJECT_DELETED.to_owned(),
            };
        }
        let (reason, message) = invalid.map_or_else(
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

/// Whether an operator that works on the run would have ended it. Without a start, its creation counts.
fn is_overdue(sync: &TaranaSync) -> bool {
    let created = sync.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |t| t.0);
    let status = sync.status.clone().unwrap_or_default();
    let deadline = machine::deadline(&sync.spec, &status, created);
    now().duration_since(deadline) > SignedDuration::try_from(GRACE).unwrap_or_default()
}

async fn sweep(context: &SyncContext, connection: &Key, clients: &ConnectionClients) {
    // The rows may belong to the runs of another replica, which the caches do not have.
    if !context.lease.is_valid_now() {
        return;
    }
    // Read right before: the row of a run that is created later is younger than the grace.
    let mut runs = Runs::of(context, &connection.namespace);
    let unfinished = std::mem::take(&mut runs.unfinished);
    let scope = SweepScope {
        connection_uid: clients.uid,
        cluster_uid: context.cluster_uid,
        namespace: &connection.namespace,
        live: &unfinished,
        grace: GRACE,
    };
    let swept = async {
        let rows = clients.store.abandoned_rows(&scope).await?;
        let rows = runs
            .without_other_shards(context, &connection.namespace, rows)
            .await;
        // The requests may have taken long.
        if !context.lease.is_valid_now() {
            return Ok(Swept::default());
        }
        clients.store.sweep(&scope, rows, |row| runs.end(row)).await
    };
    match swept.await {
        Ok(swept) => {
            record(context, connection, &swept);
            forget_closed_rows(context, connection, clients, &swept).await;
        }
        Err(fault) => {
            tracing::warn!(%fault, "log rows could not be swept");
        }
    }
}

/// Ends the warnings about rows that somebody else has closed or removed.
async fn forget_closed_rows(
    context: &SyncContext,
    connection: &Key,
    clients: &ConnectionClients,
    swept: &Swept,
) {
    for id in context.connections.open_rows(connection).into_keys() {
        let is_open = swept.failed.iter().any(|(failed, ..)| *failed == id);
        if !is_open && matches!(clients.store.has_open_row(id).await, Ok(false)) {
            context.connections.row_closed(connection, id);
        }
    }
}

/// Shows which rows were closed, and which ones cannot be closed.
fn record(context: &SyncContext, connection: &Key, swept: &Swept) {
    let (connections, Swept { closed, failed }) = (&context.connections, swept);
    if !closed.is_empty() {
        tracing::warn!(?closed, "abandoned log rows were closed");
    }
    for id in closed {
        connections.row_closed(connection, *id);
    }
    for (id, name, fault) in failed {
        tracing::warn!(sync = %name, %fault, "an abandoned log row cannot be closed");
        connections.report_open_row(connection, *id, name, fault);
    }
}
