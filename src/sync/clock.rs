//! The clocks of the controller.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// A wall clock at one moment, continued by the monotonic clock, so that it does not step. It is the machine's clock or that of the database.
///
/// A run has one that starts when this process first sees it: deadlines and retries that were computed before the machine's clock stepped stay
/// as far away as they were.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteadyClock {
    pub instant: Instant,
    /// The time at that instant.
    pub time: Timestamp,
}

impl SteadyClock {
    /// A clock that shows the time of the machine.
    pub fn start() -> Self {
        Self {
            instant: Instant::now(),
            time: now(),
        }
    }

    /// The time.
    pub fn now(self) -> Timestamp {
        self.time_of(Instant::now())
    }

    /// The time at an instant, which may be earlier than the start.
    pub fn time_of(self, instant: Instant) -> Timestamp {
        let signed = |d: Duration| SignedDuration::try_from(d).unwrap_or(SignedDuration::MAX);
        let later = signed(instant.saturating_duration_since(self.instant));
        let earlier = signed(self.instant.saturating_duration_since(instant));
        let time = self.time.checked_add(later).unwrap_or(Timestamp::MAX);
        time.checked_sub(earlier).unwrap_or(Timestamp::MIN)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
