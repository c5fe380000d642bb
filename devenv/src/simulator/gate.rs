//! Where hanging calls wait, and where tests wait for calls to hang.

use tokio::sync::watch;

/// A gate that is shut except at the moment of [`Gate::open`].
#[derive(Debug)]
pub(super) struct Gate {
    opened: watch::Sender<u64>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            opened: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
        }
    }

    /// Waits until it is opened; gone again when the client gives up.
    pub(super) async fn wait(&self) {
        let mut opened = self.opened.subscribe();
        let _place = Place::take(&self.waiting);
        // An error would mean that the gate is gone, and with it the reason to wait.
        let _ = opened.changed().await;
    }

    /// Lets everyone go who waits now.
    pub(super) fn open(&self) {
        self.opened.send_modify(|times| *times += 1);
    }

    pub(super) fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Until at least so many wait.
    pub(super) async fn until_waiting(&self, count: usize) {
        let _ = self
            .waiting
            .subscribe()
            .wait_for(|waiting| *waiting >= count)
            .await;
    }
}

/// One place in the queue before the gate, given back however the wait ends.
struct Place<'a>(&'a watch::Sender<usize>);

impl<'a> Place<'a> {
    fn take(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
