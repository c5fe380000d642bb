//! Limits how often one caller creates runs.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;

/// Runs per minute and caller, also as a burst.
const RUNS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Number of callers above which idle ones are dropped.
const MAX_CALLERS: usize = 1000;

/// The rate limiter for creating runs, keyed by caller.
#[derive(Debug)]
pub struct RunRateLimiter {
    callers: DefaultKeyedRateLimiter<String>,
}

impl RunRateLimiter {
    /// A limiter without callers.
    pub fn new() -> Self {
        Self {
            callers: RateLimiter::keyed(Quota::per_minute(RUNS_PER_MINUTE)),
        }
    }

    /// Counts one run of the caller, or rejects it.
    pub fn check(&self, caller: &str) -> Result<(), Problem> {
        if self.callers.len() > MAX_CALLERS {
            self.callers.retain_recent();
        }
        let wait = |not_until: governor::NotUntil<_>| not_until.wait_time_from(DefaultClock::default().now());
        self.callers
            .check_key(&caller.to_owned())
            .map_err(|limited| Problem::TooManyRequests(wait(limited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_quota() {
        let limiter = RunRateLimiter::new();
        for _ in 0..RUNS_PER_MINUTE.get() {
            limiter.check("one").unwrap();
        }
        assert!(matches!(limiter.check("one"), Err(Problem::TooManyRequests(wait)) if wait.as_secs() <= 2));
        limiter.check("two").unwrap();
    }
}
