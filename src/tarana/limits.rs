//! How much the vendor is asked at once: in flight, per second, and not at all for a while.
//!
//! One [`Limits`] belongs to one client, so everything that a connection does shares it, and what was learnt lives as long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::in_flight::{InFlight, Ticket};

/// The gate before every request.
#[derive(Debug)]
pub(super) struct Limits {
    places: Semaphore,
    room: Mutex<Room>,
    pace: Mutex<Pace>,
    held_until: Mutex<Option<Instant>>,
}

/// How many places there are, and how many there should be.
#[derive(Debug)]
struct Room {
    learnt: InFlight,
    /// Permits of the semaphore, taken or free.
    places: usize,
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

/// A request's place among those under way, from before it is sent until its answer is read. Dropping it says nothing of
/// how it ended.
#[derive(Debug)]
pub(super) struct Place<'l> {
    limits: &'l Limits,
    permit: Option<SemaphorePermit<'l>>,
    ticket: Option<Ticket>,
    since: Instant,
}

impl Limits {
    pub(super) fn new(requests_per_second: u32, max_in_flight: u32) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        let learnt = InFlight::new(max_in_flight);
        let places = size(&learnt);
        Self {
            places: Semaphore::new(places),
            room: Mutex::new(Room { learnt, places }),
            pace: Mutex::new(Pace {
                interval,
                burst: Duration::from_secs(1).saturating_sub(interval),
                full_at: None,
            }),
            held_until: Mutex::new(None),
        }
    }

    /// Waits until one more request may go out.
    ///
    /// A hold that lasts longer than `patience` is answered at once: whoever asked has other things to do meanwhile.
    pub(super) async fn admit(&self, patience: Duration) -> Result<Place<'_>, Held> {
        self.check(patience)?;
        // The semaphore is never closed; were it, letting a request through unbounded would be worse than refusing it.
        let permit = self.places.acquire().await.map_err(|_| Held(patience))?;
        if let Some(turn) = self.turn() {
            sleep_until(turn).await;
        }
        // While this one waited, another may have been told to stop, and told again.
        while let Some(until) = self.check(patience)? {
            sleep_until(until).await;
        }
        Ok(Place {
            limits: self,
            permit: Some(permit),
            ticket: Some(self.room().learnt.begin()),
            since: Instant::now(),
        })
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

    /// Takes the next token, and says from when it is good; nothing if it is already. Tokio's clock ticks in whole
    /// milliseconds, so that to sleep until now takes one.
    fn turn(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = pace.full_at.map_or(now, |at| at.max(now));
        pace.full_at = Some(full_at + pace.interval);
        full_at.checked_sub(pace.burst).filter(|at| *at > now)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Counts and measurements: whatever a panic left in there is corrected by the next answers.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// The request was answered.
    pub(super) fn served(mut self, kind: &str) {
        let took = self.since.elapsed();
        self.end(|learnt, ticket| learnt.served(ticket, kind, took));
    }

    /// The request was refused because the server is busy. Whether that can be for the others under way.
    pub(super) fn refused(mut self) -> bool {
        self.end(InFlight::refused).unwrap_or_default()
    }

    /// Tells how it ended, and makes as many places as there should be from then on.
    fn end<T>(&mut self, how: impl FnOnce(&mut InFlight, Ticket) -> T) -> Option<T> {
        let ticket = self.ticket.take()?;
        let (permit, limits) = (self.permit.take(), self.limits);
        let mut room = limits.room();
        let told = how(&mut room.learnt, ticket);
        let size = size(&room.learnt);
        if size < room.places {
            // One's own first; the others as far as they are free, else when they end.
            if let Some(permit) = permit {
                permit.forget();
                room.places -= 1;
            }
            room.places -= limits.places.forget_permits(room.places - size);
        } else {
            limits.places.add_permits(size - room.places);
            room.places = size;
        }
        Some(told)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.end(InFlight::ended);
    }
}

fn size(learnt: &InFlight) -> usize {
    usize::try_from(learnt.limit()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
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

    /// How many requests may be under way now.
    fn free(limits: &Limits) -> Vec<super::Place<'_>> {
        std::iter::from_fn(|| limits.admit(LONG).now_or_never()?.ok()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_take_places_and_answers_give_them() {
        let limits = Limits::new(1000, 64);
        let mut places = free(&limits);
        assert_eq!(places.len(), 4);
        assert!(places.pop().unwrap().refused() && places.pop().unwrap().refused());
        assert!(free(&limits).is_empty(), "two are still under way");
        for place in places {
            place.served("search");
        }
        assert_eq!(free(&limits).len(), 2);
        // What ends in another way changes nothing.
        assert_eq!(free(&limits).len(), 2);
        let other = Limits::new(1000, 64);
        for place in free(&other) {
            place.served("search");
        }
        assert_eq!(free(&other).len(), 8);
    }
}
