//! Deletes old rows from the databases of ready connections, every hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;
use uuid::Uuid;

use super::clock::now;
use super::context::SyncContext;
use super::due_connections::DueConnections;
use super::other_shards;
use crate::api::sync::TaranaSync;
use crate::connection::{ConnectionClients, Key};
use crate::store::{DeletedRows, Retention, RetentionScope};
use crate::trace::live;

/// How often connections are looked for whose rows were not checked for a while.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How often the rows of a connection are checked.
const PASS_INTERVAL: Duration = Duration::from_hours(1);
/// Connections that are handled at the same time.
const CONCURRENCY: usize = 4;
/// The clocks of operator and database may differ by less.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_hours(24);

/// Runs forever. The caches must be synced, because the log rows of existing objects are kept.
pub async fn run(context: Arc<SyncContext>, retention: Retention) {
    let mut ticks = interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connections = DueConnections::every(PASS_INTERVAL);
    loop {
        ticks.tick().await;
        let due = connections.take(&context.connections);
        let existing = existing_by_namespace(&context, retention, &due).await;
        stream::iter(due)
            .for_each_concurrent(CONCURRENCY, |(key, clients)| {
                let (context, existing) = (&context, existing.get(&key.namespace));
                let span = live::connection(&key.namespace, &key.name);
                async move {
                    if let Some(existing) = existing {
                        delete_expired(context, (retention, existing), &key, &clients).await;
                    }
                }
                .instrument(span)
            })
            .await;
    }
}

async fn delete_expired(
    context: &SyncContext,
    (retention, existing): (Retention, &[Uuid]),
    connection: &Key,
    clients: &ConnectionClients,
) {
    let scope = RetentionScope {
        connection_uid: clients.uid,
        cluster_uid: context.cluster_uid,
        namespace: &connection.namespace,
        existing,
    };
    match clients.store.delete_expired(&scope, retention).await {
        Ok(deleted) if deleted == DeletedRows::default() => {}
        Ok(deleted) => {
            let DeletedRows {
                events,
                change_batches,
                logs,
                referenced,
            } = deleted;
            let metrics = &context.metrics.database;
            metrics.expired("tarana_sync_outbox", events);
            metrics.expired("tarana_sync_change_batches", change_batches);
            metrics.expired("tarana_sync_logs", logs);
            tracing::info!(events, change_batches, logs, referenced, "old rows were deleted");
        }
        Err(fault) => {
            tracing::warn!(%fault, "old rows could not be deleted");
        }
    }
}

/// The runs of each namespace of these connections whose log rows may expire; none of a namespace whose runs could not be listed.
async fn existing_by_namespace(
    context: &SyncContext,
    retention: Retention,
    due: &[(Key, Arc<ConnectionClients>)],
) -> HashMap<String, Vec<Uuid>> {
    let mut existing = HashMap::new();
    for (Key { namespace, .. }, _) in due {
        if existing.contains_key(namespace) {
            continue;
        }
        match existing_runs(context, namespace, retention).await {
            Ok(runs) => drop(existing.insert(namespace.clone(), runs)),
            Err(error) => {
                tracing::warn!(namespace, %error, "old rows are kept, because the runs of the namespace could not be listed");
            }
        }
    }
    existing
}

/// The runs of a namespace whose log rows may expire, those of other operators included.
async fn existing_runs(
    context: &SyncContext,
    namespace: &str,
    retention: Retention,
) -> Result<Vec<Uuid>, kube::Error> {
    let Some(days) = retention.log_days else {
        return Ok(Vec::new());
    };
    let age = SignedDuration::from_hours(24 * i64::from(days)).saturating_sub(CLOCK_MARGIN);
    let before = now().checked_sub(age).unwrap_or(Timestamp::MIN);
    let mut existing = other_shards::created_before(context, namespace, before).await?;
    existing.extend(old_runs(context, namespace, before));
    Ok(existing)
}

/// The cached runs of a namespace that ended so long ago that their log rows may expire.
fn old_runs(context: &SyncContext, namespace: &str, before: Timestamp) -> Vec<Uuid> {
    let is_old = |run: &TaranaSync| {
        let end = run
            .status
            .as_ref()
            .and_then(|status| status.completion_time.as_ref());
        run.metadata.namespace.as_deref() == Some(namespace) && end.is_some_and(|end| end.0 < before)
    };
    let runs = context.reader().state_filter(is_old);
    runs.iter()
        .filter_map(|run| run.metadata.uid.as_ref()?.parse().ok())
        .collect()
}
