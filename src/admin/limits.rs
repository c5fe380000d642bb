//! How often one caller may ask for a run.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;

/// Runs that one caller may ask for in a minute, all of them at once if need be.
const TRIGGERS: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Callers that are remembered before those who were quiet for long are forgotten.
const CALLERS: usize = 1000;

/// What each caller has asked for of late.
#[derive(Debug)]
pub struct Limits {
    triggers: DefaultKeyedRateLimiter<String>,
}

impl Limits {
    /// Nobody has asked for anything.
    pub fn new() -> Self {
        Self {
            triggers: RateLimiter::keyed(Quota::per_minute(TRIGGERS)),
        }
    }

    /// Counts one that asks for a run.
    pub fn trigger(&self, caller: &str) -> Result<(), Problem> {
        if self.triggers.len() > CALLERS {
            self.triggers.retain_recent();
        }
        let wait = |not_until: governor::NotUntil<_>| not_until.wait_time_from(DefaultClock::default().now());
        self.triggers
            .check_key(&caller.to_owned())
            .map_err(|refused| Problem::TooMany(wait(refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_so_many() {
        let limits = Limits::new();
        for _ in 0..TRIGGERS.get() {
            limits.trigger("one").unwrap();
        }
        assert!(matches!(limits.trigger("one"), Err(Problem::TooMany(wait)) if wait.as_secs() <= 2));
        limits.trigger("two").unwrap();
    }
}
