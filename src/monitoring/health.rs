//! Whether this process works: liveness and readiness.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Scope, ServedSchemas, WatchActivity};
use crate::leader::Leadership;

/// How long the leading task may show no sign of life, see [`Leadership::hold`].
const MAX_LEADER_SILENCE: Duration = Duration::from_mins(2);

/// What the probes look at.
#[derive(Clone, Debug)]
pub struct Health {
    /// The watch caches.
    pub scopes: Arc<Vec<Scope>>,
    /// The requests of their watches.
    pub watch_activity: WatchActivity,
    /// Whether the custom resource definitions are current.
    pub served_schemas: ServedSchemas,
    /// Whether this process leads.
    pub leadership: Leadership,
}

impl Health {
    /// What only a restart can mend: a watch that nobody drives any more, a leader that is stuck. Empty if the process is alive.
    pub fn dead_parts(&self) -> Vec<String> {
        let watches = self.watch_activity.dead_watches().into_iter();
        let watches = watches.map(|path| format!("the watch of {path} has sent no request for minutes"));
        let silence = self
            .leadership
            .silence()
            .filter(|silence| *silence > MAX_LEADER_SILENCE);
        let leader = silence.map(|silence| {
            format!(
                "this process leads, but its controllers are stuck for {} s",
                silence.as_secs()
            )
        });
        watches.chain(leader).collect()
    }

    /// What is missing before this replica can answer requests and lead. Empty if it is ready.
    ///
    /// Outdated custom resource definitions are part of it, so that an upgrade that forgot them stops at its first pod while the old ones
    /// continue.
    pub fn missing_parts(&self) -> Vec<String> {
        let unsynced = self.scopes.iter().flat_map(Scope::unsynced);
        let unsynced = unsynced.map(|cache| format!("not synced yet: {cache}"));
        let outdated = self.served_schemas.outdated();
        unsynced.chain(outdated.iter().map(ToString::to_string)).collect()
    }
}
