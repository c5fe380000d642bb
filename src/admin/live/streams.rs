//! What all streams share: the change log, their maximum number, and the end of the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::change_log::ChangeLog;
use crate::admin::problem::Problem;
use crate::cluster::Scope;

/// Maximum number of open streams of this process.
pub(super) const MAX_STREAMS: usize = 10_000;

/// What all streams share.
#[derive(Debug)]
pub struct Streams {
    pub(super) log: ChangeLog,
    /// True once the process shuts down.
    pub(super) stopping: watch::Receiver<bool>,
    permits: Arc<Semaphore>,
}

impl Streams {
    /// Without streams. They end when `stopping` becomes true.
    pub fn new(stopping: watch::Receiver<bool>) -> Self {
        Self {
            log: ChangeLog::new(),
            stopping,
            permits: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// Records the changes of the watch caches. Never ends.
    pub async fn run(&self, scopes: &[Scope]) {
        self.log.run(scopes).await;
    }

    /// A delay of up to a second that differs between streams.
    pub(super) fn jitter(&self) -> Duration {
        let n = u64::try_from(self.available() % 1000).unwrap_or_default();
        Duration::from_millis(n * 997 % 1000)
    }

    /// How many more streams can be opened.
    pub(super) fn available(&self) -> usize {
        self.permits.available_permits()
    }

    /// Permission to open one more stream, until it is dropped.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        permit.map_err(|_| Problem::Unavailable("too many open streams: try again later".to_owned()))
    }
}
