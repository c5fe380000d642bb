//! Pure: how far another machine's clock is from this one's.

use jiff::{SignedDuration, Timestamp};

use super::report::Outcome;

/// From this difference on the clocks are to be synchronized.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// The time that a header `Date` stands for: it has whole seconds, and half of the one that it dropped is the best guess.
pub(super) fn of_date(date: Timestamp) -> Timestamp {
    date.checked_add(SignedDuration::from_millis(500)).unwrap_or(date)
}

/// Compares the clock of `whose`, which showed `theirs` when this machine's showed `ours`.
pub(super) fn compare(whose: &str, theirs: Timestamp, ours: Timestamp) -> (Outcome, String) {
    let offset = theirs.duration_since(ours);
    let direction = if offset.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let seconds = offset.abs().as_secs_f64();
    if offset.abs() < TOLERANCE {
        return (
            Outcome::Ok,
            format!("{seconds:.1} s {direction} this machine's clock"),
        );
    }
    let message = format!(
        "the clock of {whose} is {seconds:.0} s {direction} this machine's: synchronize both (NTP); schedules follow this machine's clock, durations \
         and ages in the tables the database's"
    );
    (Outcome::Warning, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_seconds_is_a_warning_with_its_direction() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |millis| compare("the database", now + SignedDuration::from_millis(millis), now);
        assert_eq!(
            at(4_900),
            (Outcome::Ok, "4.9 s ahead of this machine's clock".into())
        );
        assert_eq!(
            at(-4_900),
            (Outcome::Ok, "4.9 s behind this machine's clock".into())
        );
        let (outcome, message) = at(-300_000);
        assert_eq!(outcome, Outcome::Warning);
        assert!(
            message.starts_with("the clock of the database is 300 s behind this machine's"),
            "{message}"
        );
        assert_eq!(at(5_000).0, Outcome::Warning);
    }
}
