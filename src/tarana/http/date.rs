//! Pure: parses an HTTP date.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// `None` if it is not a date.
pub(super) fn parse(date: &str) -> Option<Timestamp> {
    // "GMT" is one of RFC 2822's obsolete zones, so its parser accepts HTTP dates.
    rfc2822::DateTimeParser::new().parse_timestamp(date.trim()).ok()
}
