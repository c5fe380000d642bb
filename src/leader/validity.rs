//! Until when this process may work.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Whether the lease of this process is valid, by its own clock. Clones share it.
#[derive(Clone, Debug)]
pub struct Validity(Option<watch::Receiver<Tenure>>);

/// What the election knows of the leadership of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tenure {
    /// Until when this process may work; `None` if it does not lead.
    pub valid_until: Option<Instant>,
    /// The leader before it released the Lease, so that all its work was stopped.
    pub was_handed_over: bool,
}

impl Tenure {
    pub fn is_valid_now(&self) -> bool {
        self.valid_until.is_some_and(|end| Instant::now() < end)
    }
}

impl Validity {
    /// Without leader election.
    pub fn always() -> Self {
        Self(None)
    }

    /// Valid until the newest time that is sent; invalid while it is `None`.
    pub(super) fn until(tenure: watch::Receiver<Tenure>) -> Self {
        Self(Some(tenure))
    }

    /// Whether the leader before stopped its work and handed over. If not, its process has probably died. Without leader election this is not
    /// known: false.
    pub fn was_handed_over(&self) -> bool {
        let tenure = self.0.as_ref();
        tenure.is_some_and(|tenure| tenure.borrow().was_handed_over)
    }

    /// Whether this process may work at this moment.
    pub fn is_valid_now(&self) -> bool {
        let Some(tenure) = &self.0 else {
            return true;
        };
        tenure.borrow().is_valid_now()
    }

    /// Waits until the lease is valid. Does not return if the sender is gone.
    pub(super) async fn valid(&self) {
        let Some(mut tenure) = self.0.clone() else {
            return;
        };
        if tenure.wait_for(Tenure::is_valid_now).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the lease is not valid.
    async fn invalid(&self) {
        let Some(mut tenure) = self.0.clone() else {
            return std::future::pending().await;
        };
        loop {
            let Some(time) = tenure.borrow_and_update().valid_until else {
                return;
            };
            tokio::select! {
                () = sleep_until(time) => if !self.is_valid_now() {
                    return;
                },
                changed = tenure.changed() => if changed.is_err() {
                    // Nobody renews the lease any more.
                    return sleep_until(time).await;
                },
            }
        }
    }

    /// Runs `work` while the lease is valid. `None` if it ended before; `work` is dropped then.
    ///
    /// Each poll asks the clock: a process that was stopped and continues must not work because its timer has not fired yet.
    pub(super) async fn run_while_valid<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut invalid) = (pin!(work), pin!(self.invalid()));
        poll_fn(|context| {
            if !self.is_valid_now() || invalid.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    const LEASE: Duration = Duration::from_secs(13);

    fn until(valid_until: Option<Instant>) -> Tenure {
        Tenure {
            valid_until,
            was_handed_over: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_when_the_lease_is_not_renewed() {
        let (end, validity) = watch::channel(until(Some(Instant::now() + LEASE)));
        let validity = Validity::until(validity);
        let began = Instant::now();
        let work = validity.run_while_valid(pending::<()>());
        let renew = async {
            sleep_until(began + LEASE / 2).await;
            end.send_replace(until(Some(began + LEASE * 2)));
            pending::<()>().await;
        };
        tokio::select! {
            ended = work => assert_eq!(ended, None),
            () = renew => {}
        }
        assert!(began.elapsed() >= LEASE * 2 && began.elapsed() < LEASE * 2 + LEASE / 2);
        assert!(!validity.is_valid_now());
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_at_once_when_the_lease_is_lost() {
        let (end, validity) = watch::channel(until(Some(Instant::now() + LEASE)));
        let validity = Validity::until(validity);
        let began = Instant::now();
        let lose = async {
            sleep_until(began + Duration::from_secs(1)).await;
            end.send_replace(until(None));
        };
        let (ended, ()) = tokio::join!(validity.run_while_valid(pending::<()>()), lose);
        assert_eq!(ended, None);
        assert!(began.elapsed() < LEASE);
        assert!(!validity.is_valid_now());
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_woken_after_the_end_is_not_polled() {
        let (_end, validity) = watch::channel(until(Some(Instant::now() + LEASE)));
        let validity = Validity::until(validity);
        let polled = std::cell::Cell::new(0);
        let work = poll_fn(|_| {
            polled.set(polled.get() + 1);
            Poll::<()>::Pending
        });
        let mut guarded = pin!(validity.run_while_valid(work));
        assert!(futures::poll!(guarded.as_mut()).is_pending());
        tokio::time::advance(LEASE).await;
        assert_eq!(futures::poll!(guarded.as_mut()), Poll::Ready(None));
        assert_eq!(polled.get(), 1);
    }

    #[test]
    fn without_an_election_the_lease_is_always_valid() {
        assert!(Validity::always().is_valid_now());
        let (_end, lost) = watch::channel(Tenure::default());
        assert!(!Validity::until(lost).is_valid_now());
    }
}
