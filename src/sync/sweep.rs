//! Closes log rows that nobody will: at start-up, and every few minutes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use tokio::time::interval;
use uuid::Uuid;

use super::context::{Context, is_final, key};
use crate::connection::{Key, Link};

const EVERY: Duration = Duration::from_mins(2);
/// A row younger than this may belong to an object that the watch cache has yet to hear of.
const GRACE: Duration = Duration::from_mins(1);

/// Runs for ever. A connection that has just been verified is swept at once: that is start-up, for its rows.
pub async fn run(context: Arc<Context>) {
    // A cache that has not heard of the live runs yet would call every one of them dead.
    let _ = context.reader.wait_until_ready().await;
    let mut ticks = interval(EVERY);
    let mut changed = Box::pin(context.connections.changes());
    let mut swept = HashSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                context.prune();
                for (key, link) in context.connections.ready() {
                    sweep(&context, &key, &link).await;
                }
            }
            Some(_) = changed.next() => {
                for (key, link) in context.connections.ready() {
                    if swept.insert(link.uid) {
                        sweep(&context, &key, &link).await;
                    }
                }
            }
        }
    }
}

async fn sweep(context: &Context, connection: &Key, link: &Link) {
    let live: Vec<Uuid> = context
        .reader
        .state_filter(|s| !is_final(s) && key(s) == *connection)
        .iter()
        .filter_map(|s| s.uid()?.parse().ok())
        .collect();
    match link.store.sweep(link.uid, &live, GRACE).await {
        Ok(closed) if closed.is_empty() => {}
        Ok(closed) => {
            tracing::warn!(%connection, ?closed, "log rows left open by nobody were closed");
        }
        Err(fault) => {
            tracing::warn!(%connection, %fault, "log rows could not be swept");
        }
    }
}
