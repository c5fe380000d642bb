//! Limits how often one caller does something.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;

/// Number of callers above which idle ones are dropped.
const MAX_CALLERS: usize = 1000;

/// A rate limiter, keyed by caller.
#[derive(Debug)]
pub struct CallerRateLimiter {
    callers: DefaultKeyedRateLimiter<String>,
}

impl CallerRateLimiter {
    /// A limiter without callers. Each may do this many things per minute, also as a burst.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self {
            callers: RateLimiter::keyed(Quota::per_minute(per_minute)),
        }
    }

    /// Counts one thing that the caller does, or rejects it.
    pub fn check(&self, caller: &str) -> Result<(), Problem> {
        if self.callers.len() > MAX_CALLERS {
            self.callers.retain_recent();
        }
        let wait = |not_until: governor::NotUntil<_>| not_until.wait_time_from(DefaultClock::default().now());
        let result = self.callers.check_key(&caller.to_owned());
        result.map_err(|limited| {
            let retry_after = wait(limited);
            let seconds = retry_after.as_secs().max(1);
            Problem::TooManyRequests {
                detail: format!("too many requests: try again in {seconds} s"),
                retry_after,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_quota() {
        let limiter = CallerRateLimiter::new(NonZeroU32::new(30).unwrap());
        for _ in 0..30 {
            limiter.check("one").unwrap();
        }
        let refused = limiter.check("one");
        assert!(
            matches!(refused, Err(Problem::TooManyRequests { retry_after, .. }) if retry_after.as_secs() <= 2)
        );
        limiter.check("two").unwrap();
    }
}
