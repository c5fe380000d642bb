//! Condition types (kstatus), their polarity and when they are present.
//!
//! | type | meaning of true | present on |
//! |---|---|---|
//! | `Ready` | a connection works; a run did all that was requested; a schedule knows its next slot | all kinds, always |
//! | `Reconciling` | the operator is working on it, or will retry | connections and runs, while true |
//! | `Stalled` | a user must act: `message` says how | all kinds, while true |
//! | `Finished` | the run has ended, with any result: wait for this one | `TaranaSync`, always |
//! | `DeletesWithheld` | the delete guard kept stale rows | `TaranaSync`, from Apply on |
//! | `LogRowsOpen` | log rows of ended runs cannot be closed, so that other runs wait | `TaranaConnection`, while true |
//! | `InsecureTransport` | credentials are sent in plain text | `TaranaConnection`, while true |
//! | `RegionsOverlap` | another connection writes the same regions of the table from other data | `TaranaConnection`, while true |
//! | `LastSyncSucceeded` | the newest run that completed or failed has completed; Unknown before the first one | `TaranaSyncSchedule`, always |

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::reason::Reason;
use super::text::truncate;

/// A connection works; a run did all that was requested.
pub const READY: &str = "Ready";
/// The operator is working on it, or will retry.
pub const RECONCILING: &str = "Reconciling";
/// A user must act.
pub const STALLED: &str = "Stalled";
/// The run has ended, with any result.
pub const FINISHED: &str = "Finished";
/// The event sink of a connection has accepted the newest event. Absent without a sink.
pub const EVENT_SINK_READY: &str = "EventSinkReady";
/// Log rows of runs that have ended cannot be closed.
pub const LOG_ROWS_OPEN: &str = "LogRowsOpen";
/// Credentials are sent in plain text to another host.
pub const INSECURE_TRANSPORT: &str = "InsecureTransport";
/// Another connection writes the same regions of the same table.
pub const REGIONS_OVERLAP: &str = "RegionsOverlap";
/// The delete guard kept stale rows.
pub const DELETES_WITHHELD: &str = "DeletesWithheld";
/// The newest run of a schedule that completed or failed has completed.
pub const LAST_SYNC_SUCCEEDED: &str = "LastSyncSucceeded";

/// Maximum length of a message, so that a status stays under 4 KiB. The schema allows 32 KiB.
const MAX_MESSAGE_BYTES: usize = 512;

/// `message` in at most 512 bytes.
pub fn truncate_message(message: &str) -> String {
    truncate(message, MAX_MESSAGE_BYTES).into_owned()
}

/// `t` in whole seconds, the precision of Kubernetes: a written time must equal the time that is read back.
pub fn whole_seconds(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// `True`.
    True,
    /// `False`.
    False,
    /// `Unknown`.
    Unknown,
}

impl ConditionStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Sets a condition. Its `lastTransitionTime` changes only with its status.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: impl Into<ConditionStatus>,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = status.into().as_str();
    let unchanged = conditions.iter().find(|c| c.type_ == type_ && c.status == status);
    let condition = Condition {
        last_transition_time: unchanged.map_or(Time(now), |c| c.last_transition_time.clone()),
        message: truncate_message(message),
        observed_generation: generation,
        reason: reason.to_string(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(existing) => *existing = condition,
        None => conditions.push(condition),
    }
}

/// Removes a condition. kstatus treats an absent `Reconciling` or `Stalled` as false.
pub fn clear(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// The condition of that type, if present.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition is present and true.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transition_time_changes_only_with_the_status() {
        let mut conditions = Vec::new();
        let (t1, t2) = (
            Timestamp::from_second(1).unwrap(),
            Timestamp::from_second(2).unwrap(),
        );
        set(&mut conditions, READY, false, Reason::Verifying, "a", Some(1), t1);
        set(
            &mut conditions,
            READY,
            false,
            Reason::ApiUnreachable,
            "b",
            Some(1),
            t2,
        );
        assert_eq!(conditions.len(), 1);
        assert_eq!(
            (
                conditions[0].last_transition_time.0,
                conditions[0].message.as_str()
            ),
            (t1, "b")
        );
        set(&mut conditions, READY, true, Reason::Verified, "c", Some(1), t2);
        assert_eq!(conditions[0].last_transition_time.0, t2);
    }

    #[test]
    fn long_messages_are_truncated() {
        let message = truncate_message(&"é".repeat(600));
        assert!(message.len() <= MAX_MESSAGE_BYTES && message.ends_with('…'));
    }
}
