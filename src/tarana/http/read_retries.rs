//! Pure: whether a read that failed is sent again within the same attempt.
//!
//! A fault that occurs once should not cost a run, whatever it looks like: a proxy can answer one request with 403 or with a login page. So a
//! read is sent again a few times. A failing API is not flooded: repetitions share a budget, which successful requests refill. Sends
//! that `retry_budget.rs` allowed count.

use std::time::Duration;

use crate::fault::{Fault, Reason};

/// Most times that a read is sent.
const MAX_SENDS: u32 = 4;
/// The same if each time takes long: no answer in time, or an endless one.
const MAX_SLOW_SENDS: u32 = 2;
/// Pause before the first repetition; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Tokens of a full budget, those that a repetition takes, and those that a success gives back: 20 repetitions, and one more
/// for ten successes.
const FULL: u32 = 200;
const COST: u32 = 10;
const REFUND: u32 = 1;

/// The budget of a client.
#[derive(Debug)]
pub(super) struct ReadRetries {
    tokens: u32,
}

impl Default for ReadRetries {
    fn default() -> Self {
        Self { tokens: FULL }
    }
}

impl ReadRetries {
    /// A request succeeded.
    pub(super) fn record_success(&mut self) {
        self.tokens = (self.tokens + REFUND).min(FULL);
    }

    /// The pause before a read that has failed `sends` times is sent again; `None` if it is not. `seed` decides about the
    /// jitter, so that requests that failed together are not repeated together.
    pub(super) fn next_pause(&mut self, fault: &Fault, sends: u32, seed: u64) -> Option<Duration> {
        let max_sends = match fault.reason {
            Reason::ApiUnreachable | Reason::ResponseTooLarge => MAX_SLOW_SENDS,
            Reason::ApiUnavailable
            | Reason::ApiThrottled
            | Reason::ApiChanged
            | Reason::ApiRejected
            | Reason::AccessDenied => MAX_SENDS,
            _ => return None,
        };
        // With a `Retry-After` that was not waited for, the run waits instead.
        if sends >= max_sends || fault.retry_after.is_some() || self.tokens < COST {
            return None;
        }
        self.tokens -= COST;
        let pause = FIRST_PAUSE * 2_u32.pow(sends.saturating_sub(1));
        // Half to one and a half times.
        let percent = 50 + u32::try_from(seed % 101).unwrap_or_default();
        Some(pause * percent / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reason: Reason) -> Fault {
        Fault::new(reason, "")
    }

    #[test]
    fn reads_are_repeated_whatever_the_answer_was_but_not_logins_or_certificates() {
        for (reason, sends) in [
            (Reason::ApiUnavailable, 4),
            (Reason::ApiThrottled, 4),
            (Reason::ApiChanged, 4),
            (Reason::ApiRejected, 4),
            (Reason::AccessDenied, 4),
            (Reason::ApiUnreachable, 2),
            (Reason::ResponseTooLarge, 2),
            (Reason::AuthenticationFailed, 1),
            (Reason::ApiTlsFailed, 1),
        ] {
            let mut retries = ReadRetries::default();
            let sent = (1..10).find(|sends| retries.next_pause(&fault(reason), *sends, 0).is_none());
            assert_eq!(sent, Some(sends), "{reason}");
        }
        let announced = fault(Reason::ApiUnavailable).retry_after(Duration::from_mins(1));
        assert_eq!(ReadRetries::default().next_pause(&announced, 1, 0), None);
    }

    #[test]
    fn pauses_double_and_differ_between_requests() {
        let pause = |sends, seed| {
            let pause = ReadRetries::default().next_pause(&fault(Reason::ApiUnavailable), sends, seed);
            pause.unwrap().as_millis()
        };
        assert_eq!([pause(1, 50), pause(2, 50), pause(3, 50)], [250, 500, 1000]);
        assert_eq!([pause(1, 0), pause(1, 100), pause(1, 101)], [125, 375, 125]);
    }

    #[test]
    fn a_failing_api_uses_the_budget_up_and_successes_refill_it() {
        let mut retries = ReadRetries::default();
        let failing = fault(Reason::ApiUnavailable);
        let repeated = (0..100)
            .filter(|_| retries.next_pause(&failing, 1, 0).is_some())
            .count();
        assert_eq!(repeated, 20);
        for _ in 0..9 {
            retries.record_success();
        }
        assert_eq!(retries.next_pause(&failing, 1, 0), None);
        retries.record_success();
        assert!(retries.next_pause(&failing, 1, 0).is_some());
    }
}
