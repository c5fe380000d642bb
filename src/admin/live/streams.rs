//! What all streams share: the change log, their permits, and the end of the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::change_log::ChangeLog;
use super::permits::Permits;
use crate::cluster::Scope;

/// What all streams share.
#[derive(Debug)]
pub struct Streams {
    pub(super) log: ChangeLog,
    /// True once the process shuts down.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) permits: Arc<Permits>,
}

impl Streams {
    /// Without streams. They end when `stopping` becomes true.
    pub fn new(stopping: watch::Receiver<bool>) -> Self {
        Self {
            log: ChangeLog::new(),
            stopping,
            permits: Arc::default(),
        }
    }

    /// Records the changes of the watch caches. Never ends.
    pub async fn run(&self, scopes: &[Scope]) {
        self.log.run(scopes).await;
    }

    /// A delay of up to a second that differs between streams.
    pub(super) fn jitter(&self) -> Duration {
        let n = u64::try_from(self.permits.open() % 1000).unwrap_or_default();
        Duration::from_millis(n * 997 % 1000)
    }
}
