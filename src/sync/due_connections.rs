//! Which connections are due for something that happens at intervals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::connection::{ConnectionClients, Connections, Key};

/// When each connection was last handled.
pub(super) struct DueConnections {
    interval: Duration,
    handled_at: HashMap<Uuid, Instant>,
}

impl DueConnections {
    /// Every connection is due at once, and then after each interval.
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            handled_at: HashMap::new(),
        }
    }

    /// The ready connections that are due. They are due again after the interval.
    pub fn take(&mut self, connections: &Connections) -> Vec<(Key, Arc<ConnectionClients>)> {
        let interval = self.interval;
        self.take_by(connections, |_| interval)
    }

    /// The ready connections that are due, if each has an interval of its own, which is not longer than that of all.
    pub fn take_by(
        &mut self,
        connections: &Connections,
        interval: impl Fn(&Key) -> Duration,
    ) -> Vec<(Key, Arc<ConnectionClients>)> {
        let mut due = connections.ready_clients();
        due.retain(|(key, clients)| {
            let last = self.handled_at.get(&clients.uid);
            last.is_none_or(|at| at.elapsed() >= interval(key))
        });
        self.handled_at.retain(|_, at| at.elapsed() < 2 * self.interval);
        let handled = due.iter().map(|(_, clients)| (clients.uid, Instant::now()));
        self.handled_at.extend(handled);
        due
    }
}
