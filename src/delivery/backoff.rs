//! Pure: when an event is sent again.

use std::time::Duration;

/// Delay after the first failed attempt.
const FIRST: Duration = Duration::from_secs(5);
/// Longest delay, unless the receiver asked for more.
const LONGEST: Duration = Duration::from_mins(30);

/// The delay after this attempt, counted from 1: doubled each time, and up to a fifth shorter, so that events do not come back all at once.
/// `spread` is a number that differs between events.
pub(super) fn delay(attempt: i32, retry_after: Option<Duration>, spread: u64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(12);
    let delay = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let fifth = delay.as_millis() / 5;
    let shorter = u128::from(spread).wrapping_mul(2_654_435_761) % (fifth + 1);
    let shorter = Duration::from_millis(u64::try_from(shorter).unwrap_or(0));
    delay.saturating_sub(shorter).max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Duration, FIRST, LONGEST, delay};

    #[test]
    fn the_delay_doubles_up_to_its_limit_and_respects_retry_after() {
        for spread in [0, 1, 77, u64::MAX] {
            let mut sum = Duration::ZERO;
            for attempt in 1..=60 {
                let delay = delay(attempt, None, spread);
                let full = FIRST.saturating_mul(1 << (attempt - 1).min(12)).min(LONGEST);
                assert!(
                    delay <= full && delay >= full * 4 / 5,
                    "attempt {attempt}: {delay:?}"
                );
                sum += delay;
            }
            assert!(sum > Duration::from_hours(20), "{sum:?}");
        }
        let asked = Duration::from_hours(1);
        assert_eq!(delay(1, Some(asked), 5), asked);
        assert!(delay(i32::MAX, None, 5) <= LONGEST && delay(0, None, 5) <= FIRST);
    }
}
