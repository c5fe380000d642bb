//! Pure: keeps the status of a schedule under 4 KiB, whatever its names and messages are.

use crate::api::schedule::TaranaSyncScheduleStatus;

/// The oldest slots of the history are dropped above this size.
const MAX_STATUS_BYTES: usize = 3900;
/// Maximum size of a condition's message in JSON.
const MAX_MESSAGE_BYTES: usize = 384;

/// A message of a condition in at most 384 bytes of JSON, without control characters. `…` marks a cut.
pub(super) fn condition_message(message: &str) -> String {
    let message = message.replace(char::is_control, " ");
    if message.chars().map(json_bytes).sum::<usize>() <= MAX_MESSAGE_BYTES {
        return message;
    }
    let mut bytes = '…'.len_utf8();
    let fits = |c: &char| {
        bytes += json_bytes(*c);
        bytes <= MAX_MESSAGE_BYTES
    };
    let mut cut: String = message.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// Drops the oldest slots of the history until the status is small enough. The newest slot stays.
pub(super) fn drop_oldest_slots(status: &mut TaranaSyncScheduleStatus) {
    while status.recent_slots.len() > 1 && json_size(status) > MAX_STATUS_BYTES {
        status.recent_slots.pop();
    }
}

fn json_size(status: &TaranaSyncScheduleStatus) -> usize {
    serde_json::to_string(status).map_or(0, |json| json.len())
}

fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn messages_are_cut_by_their_size_in_json() {
        assert_eq!(condition_message("a\n\"b\""), "a \"b\"");
        for c in ['a', '"', '\\', '\n', 'é', '\u{1f600}'] {
            let message = condition_message(&c.to_string().repeat(1000));
            let size = serde_json::to_string(&message).unwrap().len() - 2;
            assert!((380..=MAX_MESSAGE_BYTES).contains(&size), "{c:?}: {size}");
            assert_eq!(condition_message(&message), message, "a cut message is cut again");
        }
    }

    #[test]
    fn only_the_oldest_slots_are_dropped() {
        let slot = |hour: i64| {
            let time = jiff::Timestamp::from_second(hour * 3600).unwrap();
            super::super::slot_history::ran(time, &"x".repeat(400))
        };
        let mut status = TaranaSyncScheduleStatus {
            recent_slots: (0..20).rev().map(slot).collect(),
            last_schedule_time: Some(Time(jiff::Timestamp::UNIX_EPOCH)),
            ..TaranaSyncScheduleStatus::default()
        };
        drop_oldest_slots(&mut status);
        assert!(json_size(&status) <= MAX_STATUS_BYTES);
        assert_eq!(status.recent_slots[0], slot(19));
        assert_eq!(status.recent_slots.len(), 7);
    }
}
