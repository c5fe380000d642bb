//! How much the vendor is asked at once: in flight, per second, and not at all for a while.
//!
//! One [`Limits`] belongs to one client, so everything that a connection does shares it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// The gate before every request.
#[derive(Debug)]
pub(super) struct Limits {
    in_flight: Semaphore,
    pace: Mutex<Pace>,
    held_until: Mutex<Option<Instant>>,
}

/// A token bucket, told by the time at which it will be full again.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

/// The gate is shut for longer than the caller would wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held(pub(super) Duration);

impl Limits {
    pub(super) fn new(requests_per_second: u32, max_in_flight: u32) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        Self {
            in_flight: Semaphore::new(usize::try_from(max_in_flight.max(1)).unwrap_or(1)),
            pace: Mutex::new(Pace {
                interval,
                burst: Duration::from_secs(1).saturating_sub(interval),
                full_at: None,
            }),
            held_until: Mutex::new(None),
        }
    }

    /// Waits until one more request may go out. The permit is held until its answer is read.
    ///
    /// A hold that lasts longer than `patience` is answered at once: whoever asked has other things to do meanwhile.
    pub(super) async fn admit(&self, patience: Duration) -> Result<SemaphorePermit<'_>, Held> {
        self.check(patience)?;
        // The semaphore is never closed; were it, letting a request through unbounded would be worse than refusing it.
        let permit = self.in_flight.acquire().await.map_err(|_| Held(patience))?;
        sleep_until(self.turn()).await;
        // While this one waited, another may have been told to stop, and told again.
        while let Some(until) = self.check(patience)? {
            sleep_until(until).await;
        }
        Ok(permit)
    }

    /// Lets nothing out before `after` has passed. A shorter hold does not lift a longer one.
    pub(super) fn hold(&self, after: Duration) {
        let until = Instant::now() + after;
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(until, |earlier| earlier.max(until)));
    }

    /// Until when nothing goes out, if that is to come.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let held = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        held.filter(|until| *until > Instant::now())
    }

    fn check(&self, patience: Duration) -> Result<Option<Instant>, Held> {
        let Some(until) = self.held_until() else {
            return Ok(None);
        };
        let wait = until.saturating_duration_since(Instant::now());
        if wait > patience {
            Err(Held(wait))
        } else {
            Ok(Some(until))
        }
    }

    /// Takes the next token, and says from when it is good.
    fn turn(&self) -> Instant {
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = pace.full_at.map_or(now, |at| at.max(now));
        pace.full_at = Some(full_at + pace.interval);
        full_at.checked_sub(pace.burst).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{Held, Limits};

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_one_second_then_the_pace() {
        let limits = Limits::new(10, 100);
        let start = Instant::now();
        for _ in 0..10 {
            drop(limits.admit(LONG).await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            drop(limits.admit(LONG).await);
        }
        // Tokio's clock ticks in whole milliseconds.
        let took = start.elapsed();
        assert!(
            (Duration::from_secs(1)..Duration::from_millis(1011)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_keeps_everybody_back_and_only_grows() {
        let limits = Limits::new(1000, 2);
        limits.hold(Duration::from_secs(5));
        limits.hold(Duration::from_secs(2));
        let start = Instant::now();
        drop(limits.admit(LONG).await);
        assert!(start.elapsed() >= Duration::from_secs(5));
        assert_eq!(limits.held_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_beyond_patience_is_answered_at_once() {
        let limits = Limits::new(1000, 2);
        limits.hold(Duration::from_secs(90));
        advance(Duration::from_secs(10)).await;
        assert_eq!(
            limits.admit(LONG).await.map(drop),
            Err(Held(Duration::from_secs(80)))
        );
    }
}
