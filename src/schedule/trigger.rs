//! Pure: the value of the annotation that requests a run now: `<RFC 3339 time>[ dryRun][ deleteStale]`.

use jiff::Timestamp;

use crate::api::schedule::{TRIGGER_DELETE_STALE, TRIGGER_DRY_RUN};
use crate::api::text::truncate;
use crate::cron::slots::stable_hash;

/// The form of a value, for messages.
pub const FORM: &str = "<RFC 3339 time>[ dryRun][ deleteStale], for example 2026-03-01T12:00:00Z dryRun";
/// Maximum length of a value and of its echo in the status. The longest valid value has 54 bytes.
const MAX_BYTES: usize = 64;

/// A request for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerRequest {
    /// The value of the annotation. It identifies the request.
    pub value: String,
    /// When the run was requested.
    pub requested_at: Timestamp,
    /// Only plan, whatever the template says.
    pub dry_run: bool,
    /// Delete stale rows, whatever the template says.
    pub delete_stale: bool,
}

/// A value is invalid. The message shows the form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the annotation tarana.dev/trigger-requested-at is invalid: {0}; write {FORM}")]
pub struct InvalidTrigger(String);

/// Parses a value.
///
/// # Errors
/// The value does not have the form.
pub fn parse(value: &str) -> Result<TriggerRequest, InvalidTrigger> {
    if value.len() > MAX_BYTES {
        let length = value.len();
        return Err(InvalidTrigger(format!(
            "it has {length} bytes, the maximum is {MAX_BYTES}"
        )));
    }
    let mut words = value.split(' ');
    let time = words.next().unwrap_or_default();
    let requested_at = Some(time)
        .filter(|time| is_rfc3339(time))
        .and_then(|time| time.parse().ok());
    let mut request = TriggerRequest {
        value: value.to_owned(),
        requested_at: requested_at
            .ok_or_else(|| InvalidTrigger(format!("`{}` is not a time", time.escape_debug())))?,
        dry_run: false,
        delete_stale: false,
    };
    for word in words {
        let option = match word {
            TRIGGER_DRY_RUN => &mut request.dry_run,
            TRIGGER_DELETE_STALE => &mut request.delete_stale,
            _ => {
                let word = word.escape_debug();
                return Err(InvalidTrigger(format!("`{word}` is not an option")));
            }
        };
        if std::mem::replace(option, true) {
            return Err(InvalidTrigger(format!("{word} occurs twice")));
        }
    }
    Ok(request)
}

/// What the status records of a value: the value itself, or its beginning and a hash if it is too long.
pub fn echo(value: &str) -> String {
    if value.len() <= MAX_BYTES {
        return value.to_owned();
    }
    let hash = format!("{:016x}", stable_hash(value.bytes()));
    format!("{}{hash}", truncate(value, MAX_BYTES - hash.len()))
}

/// Whether a text has the shape of an RFC 3339 time: jiff accepts more, for example a missing `T`.
fn is_rfc3339(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked("2026-03-01T12:00:00".len()) else {
        return false;
    };
    // A fraction without digits leaves its dot in front of the offset.
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            fraction.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => rest,
    };
    has_shape(date_time, "0000-00-00T00:00:00")
        && (offset == "Z" || has_shape(offset, "+00:00") || has_shape(offset, "-00:00"))
}

/// Whether the text equals the shape, where `0` stands for any digit.
fn has_shape(text: &str, shape: &str) -> bool {
    let is_like = |(byte, like): (u8, u8)| {
        if like == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == like
        }
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(is_like)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schedule::trigger_value;

    #[test]
    fn a_value_is_a_time_and_options() {
        for (value, time, options) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", (false, false)),
            (
                "2026-03-01T12:00:00+02:00",
                "2026-03-01T10:00:00Z",
                (false, false),
            ),
            (
                "2026-03-01T12:00:00.5-00:30 dryRun",
                "2026-03-01T12:30:00.5Z",
                (true, false),
            ),
            (
                "2026-03-01T12:00:00Z deleteStale",
                "2026-03-01T12:00:00Z",
                (false, true),
            ),
            (
                "2026-03-01T12:00:00.123456789+00:00 dryRun deleteStale",
                "2026-03-01T12:00:00.123456789Z",
                (true, true),
            ),
            (
                "2026-03-01T12:00:00Z deleteStale dryRun",
                "2026-03-01T12:00:00Z",
                (true, true),
            ),
        ] {
            let request = parse(value).unwrap();
            assert_eq!(request.requested_at, time.parse().unwrap(), "{value}");
            assert_eq!((request.dry_run, request.delete_stale), options, "{value}");
            assert_eq!(echo(value), value);
        }
    }

    #[test]
    fn an_invalid_value_is_rejected_with_the_form() {
        let long = format!("2026-03-01T12:00:00Z{}", " dryRun".repeat(10_000));
        for (value, message) in [
            ("", "`` is not a time"),
            ("now", "`now` is not a time"),
            ("2026-03-01", "is not a time"),
            ("2026-03-01T12:00Z", "is not a time"),
            ("2026-03-01T12:00:00", "is not a time"),
            ("2026-03-01 12:00:00Z", "`2026-03-01` is not a time"),
            ("2026-03-01T12:00:00.Z", "is not a time"),
            ("2026-03-01T12:00:00..5Z", "is not a time"),
            ("2026-03-01T12:00:00Z[UTC]", "is not a time"),
            ("2026-03-01T25:00:00Z", "is not a time"),
            ("2026-02-30T12:00:00Z", "is not a time"),
            ("1772366400", "is not a time"),
            ("2026-03-01T12:00:00Z\n", "Z\\n` is not a time"),
            (" 2026-03-01T12:00:00Z", "`` is not a time"),
            ("2026-03-01T12:00:00Z ", "`` is not an option"),
            ("2026-03-01T12:00:00Z  dryRun", "`` is not an option"),
            ("2026-03-01T12:00:00Z dryrun", "`dryrun` is not an option"),
            ("2026-03-01T12:00:00Z dryRun=true", "is not an option"),
            ("2026-03-01T12:00:00Z dryRun dryRun", "dryRun occurs twice"),
            ("ééééééééééééééééééé", "is not a time"),
            (&long, "the maximum is 64"),
        ] {
            let error = parse(value).unwrap_err().to_string();
            assert!(
                error.contains(message) && error.contains(FORM),
                "{value}: {error}"
            );
            assert!(error.len() < 500 && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_is_formatted_can_be_parsed() {
        let time = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        for (dry_run, delete_stale) in [(false, false), (true, false), (false, true), (true, true)] {
            let request = parse(&trigger_value(time, dry_run, delete_stale)).unwrap();
            assert_eq!(
                (request.requested_at, request.dry_run, request.delete_stale),
                (time, dry_run, delete_stale)
            );
        }
    }

    #[test]
    fn the_echo_of_a_long_value_is_short_and_tells_values_apart() {
        let (one, other) = ("é".repeat(100_000), format!("{}!", "é".repeat(100_000)));
        assert!(echo(&one).len() <= MAX_BYTES, "{}", echo(&one));
        assert_ne!(echo(&one), echo(&other));
        assert!(parse(&echo(&one)).is_err());
    }
}
