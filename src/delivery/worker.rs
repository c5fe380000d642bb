//! Delivers the events of all connections of a scope. A sink that is slow or silent delays only its own events.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;

use super::batch::deliver_due_events;
use super::context::DeliveryContext;
use crate::api::connection::TaranaConnection;
use crate::connection::Key;
use crate::trace::live;

/// How often it is checked what is due.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the database of a connection is asked without a change of its runs: for events that are sent again.
const POLL_INTERVAL: Duration = Duration::from_secs(15);

/// Which connections are due.
#[derive(Default)]
struct Due {
    /// Their runs have changed.
    woken: HashSet<Key>,
    polled: HashMap<Key, Instant>,
    /// Their events are being delivered.
    busy: HashSet<Key>,
}

impl Due {
    /// Whether the events of a connection are due. If so, they are being delivered from now on.
    fn start(&mut self, key: &Key) -> bool {
        let is_polled = self
            .polled
            .get(key)
            .is_some_and(|polled| polled.elapsed() < POLL_INTERVAL);
        if self.busy.contains(key) || (is_polled && !self.woken.contains(key)) {
            return false;
        }
        self.woken.remove(key);
        self.polled.insert(key.clone(), Instant::now());
        self.busy.insert(key.clone())
    }

    fn retain(&mut self, exists: impl Fn(&Key) -> bool) {
        self.woken.retain(|key| exists(key));
        self.polled.retain(|key, _| exists(key));
    }
}

/// Runs forever. The caches must be synced.
pub async fn run(context: DeliveryContext) {
    let context = &context;
    let mut ticks = interval(CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = std::pin::pin!(context.syncs.changes());
    let mut due = Due::default();
    let mut deliveries = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(run) = changes.next() => {
                due.woken.insert(Key::of_run(&run));
            }
            Some(key) = deliveries.next() => {
                due.busy.remove(&key);
            }
            _ = ticks.tick() => {
                if !context.lease.is_valid_now() {
                    continue;
                }
                let with_sink = context.connections_with_sink();
                let keys: HashSet<_> = with_sink.iter().map(|connection| Key::of(connection)).collect();
                context.retain(|key| keys.contains(key));
                due.retain(|key| keys.contains(key));
                for connection in with_sink {
                    if due.start(&Key::of(&connection)) {
                        deliveries.push(deliver(context, connection));
                    }
                }
            }
        }
    }
}

async fn deliver(context: &DeliveryContext, connection: Arc<TaranaConnection>) -> Key {
    let key = Key::of(&connection);
    let span = live::connection(&key.namespace, &key.name);
    deliver_due_events(context, &key, &connection)
        .instrument(span)
        .await;
    key
}

#[cfg(test)]
mod tests {
    use super::{Due, Key};

    #[test]
    fn a_connection_is_due_at_first_and_when_a_run_changes_but_not_while_it_is_busy() {
        let mut due = Due::default();
        let key = Key {
            namespace: "ns".to_owned(),
            name: "default".to_owned(),
        };
        assert!(due.start(&key));
        due.woken.insert(key.clone());
        assert!(!due.start(&key), "it is busy");
        due.busy.remove(&key);
        assert!(due.start(&key), "the change is not forgotten");
        due.busy.remove(&key);
        assert!(!due.start(&key), "it was polled just now");
        due.retain(|_| false);
        assert!(due.start(&key), "a new connection of the same name");
    }
}
