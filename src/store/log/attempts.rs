//! Pure: the failed attempts of a run, from the entries of the column `errors` that `record_failure` wrote for them.

use jiff::Timestamp;
use serde_json::Value;

use crate::fault::Fault;

/// An attempt that failed and was followed by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Number of the attempt, from 1.
    pub number: i32,
    /// When its failure was recorded, by the database's clock.
    pub failed_at: Timestamp,
    /// Reason in CamelCase.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
}

/// The message that [`Store::record_failure`](crate::store::Store::record_failure) is given for a failed attempt, as
/// `attempt 1: ApiUnavailable: …`. [`LoggedRun::failed_attempts`](crate::store::LoggedRun::failed_attempts) reads it.
pub fn attempt_message(number: i32, fault: &Fault) -> String {
    format!("attempt {number}: {fault}")
}

/// The failed attempts, in order. An attempt that was resumed after its failure was recorded has its last entry. Other entries,
/// among them those of other programs, are ignored.
pub(super) fn failed_attempts(errors: &Value) -> Vec<FailedAttempt> {
    let entries = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut attempts: Vec<FailedAttempt> = Vec::new();
    for attempt in entries.iter().filter_map(parse) {
        attempts.retain(|earlier| earlier.number != attempt.number);
        attempts.push(attempt);
    }
    attempts.sort_by_key(|attempt| attempt.number);
    attempts
}

/// Whether an entry was written for a failed attempt.
pub(super) fn is_failed_attempt(entry: &Value) -> bool {
    parse(entry).is_some()
}

fn parse(entry: &Value) -> Option<FailedAttempt> {
    // Skipped records and notes have a kind; their text is the vendor's.
    if entry.get("kind").is_some() {
        return None;
    }
    let message = entry.get("message")?.as_str()?;
    let (number, fault) = message.strip_prefix("attempt ")?.split_once(": ")?;
    let (reason, message) = fault.split_once(": ")?;
    let is_reason = !reason.is_empty() && reason.bytes().all(|b| b.is_ascii_alphanumeric());
    is_reason.then_some(())?;
    Some(FailedAttempt {
        number: number.parse().ok().filter(|number| *number > 0)?,
        failed_at: entry.get("timestamp")?.as_str()?.parse().ok()?,
        reason: reason.to_owned(),
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Reason;

    #[test]
    fn only_entries_of_failed_attempts_are_attempts() {
        let at = "2026-01-01T00:00:00.123456+00:00";
        let errors = json!([
            {"message": attempt_message(2, &Fault::new(Reason::ApiThrottled, "wait: 5 s")), "timestamp": at},
            {"message": attempt_message(1, &Fault::new(Reason::ApiUnavailable, "first")), "timestamp": at},
            {"message": attempt_message(1, &Fault::new(Reason::ApiUnavailable, "again")), "timestamp": at},
            {"kind": "skipped", "message": "attempt 3: ApiUnavailable: a serial number", "timestamp": at},
            {"message": "and 5 more", "timestamp": at},
            {"message": "attempt 0: ApiUnavailable: none", "timestamp": at},
            {"message": "attempt 4: not a reason: none", "timestamp": at},
            {"message": "attempt 5: ApiUnavailable: no time", "timestamp": "yesterday"},
            {"message": "attempt 6: ApiUnavailable: no time"},
            {"message": 7, "timestamp": at},
            "text",
            null,
        ]);
        let found = failed_attempts(&errors);
        let found: Vec<_> = found
            .iter()
            .map(|a| {
                (
                    a.number,
                    a.reason.as_str(),
                    a.message.as_str(),
                    a.failed_at.subsec_nanosecond() / 1000,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (1, "ApiUnavailable", "again", 123_456),
                (2, "ApiThrottled", "wait: 5 s", 123_456)
            ]
        );
        for none in [json!(null), json!({}), json!([]), json!("attempt 1: A: b")] {
            assert_eq!(failed_attempts(&none), [], "{none}");
        }
    }
}
