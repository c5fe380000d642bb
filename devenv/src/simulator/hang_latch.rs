//! Holds hanging calls until a test releases them.

use tokio::sync::watch;

/// A latch that is closed except at the moment of [`HangLatch::release_all`].
#[derive(Debug)]
pub(super) struct HangLatch {
    releases: watch::Sender<u64>,
    waiting: watch::Sender<usize>,
}

impl HangLatch {
    pub(super) fn new() -> Self {
        Self {
            releases: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
        }
    }

    /// Waits for the next release. Cancelled when the client closes the connection.
    pub(super) async fn wait_for_release(&self) {
        let mut releases = self.releases.subscribe();
        let _guard = WaiterGuard::take(&self.waiting);
        // An error means that the latch was dropped; then there is nothing to wait for.
        let _ = releases.changed().await;
    }

    /// Releases all current waiters.
    pub(super) fn release_all(&self) {
        self.releases.send_modify(|times| *times += 1);
    }

    pub(super) fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Waits until there are at least this many waiters.
    pub(super) async fn wait_until_waiting(&self, count: usize) {
        let _ = self
            .waiting
            .subscribe()
            .wait_for(|waiting| *waiting >= count)
            .await;
    }
}

/// Counts a waiter until it is dropped.
struct WaiterGuard<'a>(&'a watch::Sender<usize>);

impl<'a> WaiterGuard<'a> {
    fn take(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
