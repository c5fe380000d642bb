//! Pure: how long a server asks to be left alone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// A server's wish is taken within these bounds: zero would hammer it, a year would be a mistake.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

/// Reads `Retry-After`: seconds, or an HTTP date. A date is compared with the answer's own `Date`, so that a wrong clock
/// here or there does no harm; without one it says nothing usable.
pub(super) fn parse(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let wish = match retry_after.trim() {
        // Too many digits for a u64 are a long time all the same.
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Duration::from_secs(digits.parse().unwrap_or(u64::MAX))
        }
        text => {
            let wait = instant(text)?.duration_since(instant(date?)?);
            Duration::try_from(wait).unwrap_or_default()
        }
    };
    Some(wish.clamp(BOUNDS.0, BOUNDS.1))
}

fn instant(date: &str) -> Option<Timestamp> {
    // "GMT" is one of RFC 2822's obsolete zones, so its parser reads the HTTP date too.
    rfc2822::DateTimeParser::new().parse_timestamp(date.trim()).ok()
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
