//! Pure: parses `Retry-After`.

use std::time::Duration;

use super::date;

/// A delay is clamped to these bounds: zero would hammer the server, a year would be a mistake.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// Parses seconds or an HTTP date. A date is compared with the answer's own `Date`, so that a wrong clock on either side
/// does no harm; without `Date` it is ignored.
pub(crate) fn parse(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let delay = match retry_after.trim() {
        // More digits than a u64 holds still mean a long time.
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Duration::from_secs(digits.parse().unwrap_or(u64::MAX))
        }
        text => {
            let delay = date::parse(text)?.duration_since(date::parse(date?)?);
            // A date in the past has no delay.
            Duration::try_from(delay).unwrap_or_default()
        }
    };
    Some(delay.clamp(BOUNDS.0, BOUNDS.1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    const NOW: &str = "Wed, 21 Oct 2026 07:28:00 GMT";

    #[test]
    fn seconds_and_dates_within_bounds() {
        for (text, date, want) in [
            ("7", None, Some(7)),
            (" 7 ", None, Some(7)),
            ("0", None, Some(1)),
            ("99999999999999999999999", None, Some(3600)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(NOW), Some(30)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", Some(NOW), Some(1)),
            ("Thu, 22 Oct 2026 07:28:00 GMT", Some(NOW), Some(3600)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", None, None),
            ("soon", Some(NOW), None),
            ("-3", None, None),
            ("1.5", None, None),
            ("", None, None),
        ] {
            assert_eq!(
                parse(text, date),
                want.map(Duration::from_secs),
                "{text:?} at {date:?}"
            );
        }
    }
}
