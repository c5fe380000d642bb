//! Properties of cron patterns and their slots that `fuzz/` asserts, see [`crate::fuzzing`].

use jiff::{SignedDuration, Timestamp};

use super::search::Cron;

/// Limit for an error message, so that API server and terminal show it whole.
const MAX_MESSAGE_BYTES: usize = 500;
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);

/// Input: a pattern, a line break, a time zone, a line break, seconds since 1970.
///
/// # Panics
/// If a property does not hold.
pub fn cron(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.splitn(3, '\n');
    let (pattern, zone) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or("Etc/UTC"),
    );
    let seconds = lines.next().and_then(|seconds| seconds.trim().parse().ok());
    let t = Timestamp::from_second(seconds.unwrap_or(1_800_000_000)).unwrap_or_default();
    let cron = match Cron::parse(pattern, zone) {
        Ok(cron) => cron,
        Err(invalid) => {
            let message = invalid.to_string();
            assert!(
                message.len() < MAX_MESSAGE_BYTES && message.chars().all(|c| !c.is_control()),
                "{message}"
            );
            return;
        }
    };
    if let Some(next) = cron.next_after(t) {
        assert!(next > t && is_whole_minute(next), "{next} is no slot after {t}");
        assert_eq!(
            cron.newest_until(next),
            Some(next),
            "next_after and newest_until must find the same slot"
        );
        assert!(
            cron.newest_until(next - INSTANT).is_none_or(|newest| newest <= t),
            "next_after skipped a slot between {t} and {next}"
        );
    }
    if let Some(newest) = cron.newest_until(t) {
        assert!(
            newest <= t && is_whole_minute(newest),
            "{newest} is no slot until {t}"
        );
        assert_eq!(
            cron.next_after(newest - INSTANT),
            Some(newest),
            "next_after and newest_until must find the same slot"
        );
        assert!(
            cron.next_after(newest).is_none_or(|next| next > t),
            "newest_until skipped a slot between {newest} and {t}"
        );
    }
}

fn is_whole_minute(slot: Timestamp) -> bool {
    slot.as_second() % 60 == 0 && slot.subsec_nanosecond() == 0
}
