//! Conditions in kstatus' words, their polarity and when they are present.
//!
//! | type | true means | present on |
//! |---|---|---|
//! | `Ready` | a connection works; a run did all that was asked; a schedule knows its next slot | all kinds, always |
//! | `Reconciling` | the operator is at it, or will try again by itself | connections and runs, while so |
//! | `Stalled` | only a person can mend it: `message` says how | all kinds, while so |
//! | `Finished` | the run has ended, well or not: wait for this one | `TaranaSync`, always |
//! | `DeletesWithheld` | stale rows were kept by the delete guard | `TaranaSync`, from Apply on |
//! | `LastSyncSucceeded` | the newest run that completed or failed did complete | `TaranaSyncSchedule`, from the first such end on |

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::reason::Reason;

/// A connection works; a run did all that was asked.
pub const READY: &str = "Ready";
/// The operator is at it, or will try again by itself.
pub const RECONCILING: &str = "Reconciling";
/// Only a person can mend it.
pub const STALLED: &str = "Stalled";
/// The run has ended, well or not.
pub const FINISHED: &str = "Finished";
/// Stale rows were kept by the delete guard.
pub const DELETES_WITHHELD: &str = "DeletesWithheld";
/// The newest run of a schedule that completed or failed did complete.
pub const LAST_SYNC_SUCCEEDED: &str = "LastSyncSucceeded";

/// Longest message in bytes, so that a status stays under 4 KiB. The schema allows 32 KiB.
const MAX_MESSAGE: usize = 512;

/// `message` cut at 512 bytes, on a character boundary.
pub fn brief(message: &str) -> String {
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    let mut end = MAX_MESSAGE - '…'.len_utf8();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &message[..end])
}

/// Kubernetes shows whole seconds, and what is written must be what is read back.
pub fn whole_seconds(t: Timestamp) -> Timestamp {
    Timestamp::from_second(t.as_second()).unwrap_or(t)
}

/// Sets a condition. Its `lastTransitionTime` moves only when its status does.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: bool,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if status { "True" } else { "False" };
    let known = conditions.iter().find(|c| c.type_ == type_ && c.status == status);
    let condition = Condition {
        last_transition_time: known.map_or(Time(now), |c| c.last_transition_time.clone()),
        message: brief(message),
        observed_generation: generation,
        reason: reason.to_string(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

/// Takes a condition away: kstatus reads an absent `Reconciling` or `Stalled` as false.
pub fn clear(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// The condition of that type, where present.
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
    fn transition_time_moves_only_with_the_status() {
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
    fn long_messages_are_cut_on_a_character() {
        let cut = brief(&"é".repeat(600));
        assert!(cut.len() <= MAX_MESSAGE && cut.ends_with('…'));
    }
}
