//! The clocks of the controller.

use std::time::Instant;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// The time of one run: the machine's clock when this process first saw the run, continued by the monotonic clock. Deadlines and retries that
/// were computed before the machine's clock stepped stay as far away as they were.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunClock {
    /// When this process first saw the run.
    pub seen: Instant,
    time: Timestamp,
}

impl RunClock {
    /// A clock that shows the time of the machine.
    pub fn start() -> Self {
        Self {
            seen: Instant::now(),
            time: now(),
        }
    }

    /// The time.
    pub fn now(self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.seen.elapsed()).unwrap_or(SignedDuration::MAX);
        self.time.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
