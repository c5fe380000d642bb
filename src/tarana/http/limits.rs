//! Client-side limits of one connection: requests in flight, requests per second, and pauses that the server asks for.
//!
//! One [`Limits`] belongs to one client: everything that a connection does shares it, and it keeps what it learned.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::concurrency::{ConcurrencyLimit, Ticket};

/// Every request acquires a [`Permit`] here before it is sent.
#[derive(Debug)]
pub(super) struct Limits {
    semaphore: Semaphore,
    capacity: Mutex<Capacity>,
    rate: Mutex<TokenBucket>,
    /// The newest pauses, oldest first: when each began, and its end.
    pauses: Mutex<Vec<(Instant, Instant)>>,
}

/// Number of pauses that are remembered.
const MAX_PAUSES: usize = 32;

/// How many requests may be in flight.
#[derive(Debug)]
struct Capacity {
    limit: ConcurrencyLimit,
    /// Permits of the semaphore, taken or free. Above the limit until enough requests have ended.
    permits: usize,
}

/// A token bucket, represented by the time at which it is full again.
#[derive(Debug)]
struct TokenBucket {
    interval: Duration,
    burst: Duration,
    full_at: Option<Instant>,
}

/// Requests are paused for this long, which is longer than the caller waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paused(pub(super) Duration);

/// Permission to have one request in flight, from before it is sent until its answer is read. Dropping it records no
/// outcome.
#[derive(Debug)]
pub(super) struct Permit<'l> {
    limits: &'l Limits,
    slot: Option<SemaphorePermit<'l>>,
    ticket: Option<Ticket>,
    since: Instant,
}

impl Limits {
    pub(super) fn new(requests_per_second: u32, max_in_flight: u32) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        let limit = ConcurrencyLimit::new(max_in_flight);
        let permits = permits(&limit);
        Self {
            semaphore: Semaphore::new(permits),
            capacity: Mutex::new(Capacity { limit, permits }),
            rate: Mutex::new(TokenBucket {
                interval,
                burst: Duration::from_secs(1).saturating_sub(interval),
                full_at: None,
            }),
            pauses: Mutex::default(),
        }
    }

    /// Waits until one more request may be sent.
    ///
    /// A pause longer than `max_wait` is an error at once: the caller does not have to block for it.
    pub(super) async fn acquire(&self, max_wait: Duration) -> Result<Permit<'_>, Paused> {
        self.check_pause(max_wait)?;
        // The semaphore is never closed. If it were, an error is better than a request without a limit.
        let slot = self.semaphore.acquire().await.map_err(|_| Paused(max_wait))?;
        if let Some(at) = self.take_token() {
            sleep_until(at).await;
        }
        // Other requests may have started or extended a pause during the wait.
        while let Some(until) = self.check_pause(max_wait)? {
            sleep_until(until).await;
        }
        Ok(Permit {
            limits: self,
            slot: Some(slot),
            ticket: Some(self.capacity().limit.start()),
            since: Instant::now(),
        })
    }

    /// Sends nothing before `duration` has passed. A shorter pause does not end a longer one.
    pub(super) fn pause_for(&self, duration: Duration) {
        let now = Instant::now();
        let until = now + duration;
        let mut pauses = self.recent_pauses();
        match pauses.last_mut() {
            Some((_, end)) if *end >= now => *end = (*end).max(until),
            _ => {
                if pauses.len() == MAX_PAUSES {
                    pauses.remove(0);
                }
                pauses.push((now, until));
            }
        }
    }

    /// The end of the current pause.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        let end = self.recent_pauses().last().map(|(_, until)| *until);
        end.filter(|until| *until > Instant::now())
    }

    /// The newest pauses, oldest first: when each began, and its end, which may be in the future.
    pub(super) fn pauses(&self) -> Vec<(Instant, Instant)> {
        self.recent_pauses().clone()
    }

    fn recent_pauses(&self) -> MutexGuard<'_, Vec<(Instant, Instant)>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_pause(&self, max_wait: Duration) -> Result<Option<Instant>, Paused> {
        let Some(until) = self.paused_until() else {
            return Ok(None);
        };
        let wait = until.saturating_duration_since(Instant::now());
        if wait > max_wait {
            Err(Paused(wait))
        } else {
            Ok(Some(until))
        }
    }

    /// Takes the next token. Returns when it becomes valid, or nothing if it already is: Tokio's clock has a resolution of
    /// one millisecond, so that sleeping until now takes one.
    fn take_token(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = rate.full_at.map_or(now, |at| at.max(now));
        rate.full_at = Some(full_at + rate.interval);
        full_at.checked_sub(rate.burst).filter(|at| *at > now)
    }

    fn capacity(&self) -> MutexGuard<'_, Capacity> {
        // Counts and measurements: the next answers correct whatever a panic left behind.
        self.capacity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Records that the request succeeded.
    pub(super) fn record_success(mut self, kind: &str) {
        let took = self.since.elapsed();
        self.finish(|limit, ticket| limit.record_success(ticket, kind, took));
    }

    /// Records that a busy server rejected the request. Returns whether the other requests in flight can be the reason.
    pub(super) fn record_rejection(mut self) -> bool {
        self.finish(ConcurrencyLimit::record_rejection)
            .unwrap_or_default()
    }

    /// Records the outcome and adjusts the number of permits to the new limit.
    fn finish<T>(&mut self, record: impl FnOnce(&mut ConcurrencyLimit, Ticket) -> T) -> Option<T> {
        let ticket = self.ticket.take()?;
        let (slot, limits) = (self.slot.take(), self.limits);
        let mut capacity = limits.capacity();
        let outcome = record(&mut capacity.limit, ticket);
        let target = permits(&capacity.limit);
        if target < capacity.permits {
            // Removes the own slot first, then those that are free. The others are removed when their requests end.
            if let Some(slot) = slot {
                slot.forget();
                capacity.permits -= 1;
            }
            capacity.permits -= limits.semaphore.forget_permits(capacity.permits - target);
        } else {
            limits.semaphore.add_permits(target - capacity.permits);
            capacity.permits = target;
        }
        Some(outcome)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.finish(ConcurrencyLimit::record_abandoned);
    }
}

fn permits(limit: &ConcurrencyLimit) -> usize {
    usize::try_from(limit.current()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::time::{Instant, advance};

    use super::{Limits, Paused};

    const MAX_WAIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_one_second_then_the_rate() {
        let limits = Limits::new(10, 100);
        let start = Instant::now();
        for _ in 0..10 {
            drop(limits.acquire(MAX_WAIT).await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            drop(limits.acquire(MAX_WAIT).await);
        }
        // Tokio's clock has a resolution of one millisecond.
        let took = start.elapsed();
        assert!(
            (Duration::from_secs(1)..Duration::from_millis(1011)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_back_all_requests_and_only_grows() {
        let limits = Limits::new(1000, 2);
        limits.pause_for(Duration::from_secs(5));
        limits.pause_for(Duration::from_secs(2));
        let start = Instant::now();
        drop(limits.acquire(MAX_WAIT).await);
        assert!(start.elapsed() >= Duration::from_secs(5));
        assert_eq!(limits.paused_until(), None);
        // Pauses that overlap are one.
        assert_eq!(limits.pauses(), [(start, start + Duration::from_secs(5))]);
        advance(Duration::from_secs(1)).await;
        let second = Instant::now();
        for _ in 0..100 {
            limits.pause_for(Duration::from_secs(1));
            advance(Duration::from_secs(2)).await;
        }
        assert_eq!(limits.pauses().len(), super::MAX_PAUSES);
        assert!(limits.pauses()[0].0 > second, "the oldest are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_longer_than_the_wait_is_an_error_at_once() {
        let limits = Limits::new(1000, 2);
        limits.pause_for(Duration::from_secs(90));
        advance(Duration::from_secs(10)).await;
        assert_eq!(
            limits.acquire(MAX_WAIT).await.map(drop),
            Err(Paused(Duration::from_secs(80)))
        );
    }

    /// Acquires every permit that is free.
    fn acquire_all(limits: &Limits) -> Vec<super::Permit<'_>> {
        std::iter::from_fn(|| limits.acquire(MAX_WAIT).now_or_never()?.ok()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_remove_permits_and_successes_add_them() {
        let limits = Limits::new(1000, 64);
        let mut permits = acquire_all(&limits);
        assert_eq!(permits.len(), 4);
        assert!(permits.pop().unwrap().record_rejection() && permits.pop().unwrap().record_rejection());
        assert!(
            acquire_all(&limits).is_empty(),
            "two requests are still in flight"
        );
        for permit in permits {
            permit.record_success("search");
        }
        assert_eq!(acquire_all(&limits).len(), 2);
        // A dropped permit records no outcome.
        assert_eq!(acquire_all(&limits).len(), 2);
        let other = Limits::new(1000, 64);
        for permit in acquire_all(&other) {
            permit.record_success("search");
        }
        assert_eq!(acquire_all(&other).len(), 8);
    }
}
