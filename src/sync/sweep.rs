//! The sweeper: closes abandoned log rows at start-up and every few minutes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use tokio::time::interval;
use uuid::Uuid;

use super::context::{SyncContext, connection_key, is_final};
use crate::connection::{ConnectionClients, Key};

const SWEEP_INTERVAL: Duration = Duration::from_mins(2);
/// A younger row may belong to an object that the watch cache does not have yet.
const GRACE: Duration = Duration::from_mins(1);

/// Runs forever. A connection is swept as soon as it has been verified, which covers start-up.
pub async fn run(context: Arc<SyncContext>) {
    // An empty cache would make every run look abandoned.
    let _ = context.reader.wait_until_ready().await;
    let mut ticks = interval(SWEEP_INTERVAL);
    let mut changed = Box::pin(context.connections.gate_changes());
    let mut swept = HashSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                context.prune();
                for (key, clients) in context.connections.ready_clients() {
                    sweep(&context, &key, &clients).await;
                }
            }
            Some(_) = changed.next() => {
                for (key, clients) in context.connections.ready_clients() {
                    if swept.insert(clients.uid) {
                        sweep(&context, &key, &clients).await;
                    }
                }
            }
        }
    }
}

async fn sweep(context: &SyncContext, connection: &Key, clients: &ConnectionClients) {
    let live: Vec<Uuid> = context
        .reader
        .state_filter(|s| !is_final(s) && connection_key(s) == *connection)
        .iter()
        .filter_map(|s| s.uid()?.parse().ok())
        .collect();
    match clients.store.sweep(clients.uid, &live, GRACE).await {
        Ok(closed) if closed.is_empty() => {}
        Ok(closed) => {
            tracing::warn!(%connection, ?closed, "abandoned log rows were closed");
        }
        Err(fault) => {
            tracing::warn!(%connection, %fault, "log rows could not be swept");
        }
    }
}
