use jiff::{SignedDuration, Timestamp};

use super::{DueSlots, SlotRules, due_slots};
use crate::cron::Cron;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rules(cron: &Cron) -> SlotRules<'_> {
    SlotRules {
        cron,
        uid: "9d1c0b4e",
        starting_deadline: SignedDuration::from_hours(1),
        jitter: 0,
    }
}

fn hourly() -> Cron {
    Cron::parse("0 * * * *", "Etc/UTC").unwrap()
}

/// Start, missed and next slot, as times of one day.
fn times(due: &DueSlots) -> [Option<String>; 3] {
    let short = |t: Timestamp| t.to_string()[11..19].to_owned();
    [due.start, due.lost.first().copied(), due.next].map(|t| t.map(short))
}

#[test]
fn due_slots_at_the_edges_of_not_before_and_now() {
    let cron = hourly();
    for (not_before, now, expected) in [
        // Just before the slot, at it, after it.
        ("09:30:00", "09:59:59.999", ["", "", "10:00:00"]),
        ("09:30:00", "10:00:00", ["10:00:00", "", "11:00:00"]),
        ("09:30:00", "10:30:00", ["10:00:00", "", "11:00:00"]),
        // A slot at notBefore was handled already.
        ("10:00:00", "10:00:00", ["", "", "11:00:00"]),
        ("09:59:59", "10:00:00", ["10:00:00", "", "11:00:00"]),
        // The newest of several slots starts, the one before it is missed.
        ("08:30:00", "10:00:00", ["10:00:00", "09:00:00", "11:00:00"]),
        ("01:30:00", "10:30:00", ["10:00:00", "09:00:00", "11:00:00"]),
        // The clock is behind notBefore.
        ("12:30:00", "10:00:00", ["", "", "13:00:00"]),
    ] {
        let (not_before, now) = (format!("2026-03-01T{not_before}Z"), format!("2026-03-01T{now}Z"));
        let due = due_slots(&rules(&cron), at(&not_before), at(&now));
        let expected = expected.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(times(&due), expected, "{not_before} {now}");
        assert_eq!(due.requeue_at, due.next);
    }
}

#[test]
fn a_slot_is_missed_just_after_the_deadline() {
    let cron = Cron::parse("0 6 * * *", "Etc/UTC").unwrap();
    let slot = at("2026-03-01T06:00:00Z");
    let at_deadline = due_slots(
        &rules(&cron),
        at("2026-03-01T00:00:00Z"),
        at("2026-03-01T07:00:00Z"),
    );
    assert_eq!((at_deadline.start, at_deadline.lost), (Some(slot), vec![]));
    let past_it = due_slots(
        &rules(&cron),
        at("2026-03-01T00:00:00Z"),
        at("2026-03-01T07:00:00.001Z"),
    );
    assert_eq!((past_it.start, past_it.lost), (None, vec![slot]));
    let years_past = due_slots(
        &rules(&cron),
        at("2021-03-01T00:00:00Z"),
        at("2026-03-01T05:00:00Z"),
    );
    assert_eq!(years_past.lost[0], at("2026-02-28T06:00:00Z"));
    assert_eq!(years_past.lost[19], at("2026-02-09T06:00:00Z"));
    assert_eq!(years_past.lost.len(), 20);
}

#[test]
fn jitter_is_deterministic_and_ends_before_the_next_slot() {
    let cron = hourly();
    let delayed = SlotRules {
        jitter: 3600,
        ..rules(&cron)
    };
    let (mut slot, mut delays) = (at("2026-03-01T00:00:00Z"), Vec::new());
    for _ in 0..500 {
        slot = cron.next_after(slot).unwrap();
        let start_time = delayed.start_time(slot);
        assert_eq!(start_time, delayed.start_time(slot));
        assert!((slot..cron.next_after(slot).unwrap()).contains(&start_time));
        delays.push(start_time.duration_since(slot).as_secs());
    }
    let first_half = delays.iter().filter(|d| **d < 1800).count();
    assert!(
        (200..300).contains(&first_half),
        "{first_half} of 500 delays are in the first half"
    );
    let other = SlotRules {
        uid: "another",
        ..delayed
    };
    assert_ne!(other.start_time(slot), delayed.start_time(slot));
}

#[test]
fn a_delayed_slot_keeps_its_scheduled_time() {
    let cron = hourly();
    let delayed = SlotRules {
        jitter: 3600,
        ..rules(&cron)
    };
    let slot = at("2026-03-01T10:00:00Z");
    let start_time = delayed.start_time(slot);
    assert!(
        start_time > slot,
        "this uid has no jitter at this slot: choose another"
    );
    let moment = SignedDuration::from_secs(1);
    let before = due_slots(&delayed, at("2026-03-01T09:00:00Z"), start_time - moment);
    assert_eq!((before.start, before.lost), (None, vec![]));
    assert_eq!((before.next, before.requeue_at), (Some(slot), Some(start_time)));
    let then = due_slots(&delayed, at("2026-03-01T09:00:00Z"), start_time);
    assert_eq!((then.start, then.lost), (Some(slot), vec![]));
    // While the slot is delayed, an earlier late slot is still handled.
    let late = due_slots(&delayed, at("2026-03-01T08:00:00Z"), start_time - moment);
    assert_eq!(
        late.start.or(late.lost.first().copied()),
        Some(at("2026-03-01T09:00:00Z"))
    );
    assert_eq!(late.next, Some(slot));
}

#[test]
fn the_deadline_is_counted_from_the_end_of_the_jitter() {
    let cron = hourly();
    let deadline = SignedDuration::from_secs(60);
    let delayed = SlotRules {
        jitter: 3600,
        starting_deadline: deadline,
        ..rules(&cron)
    };
    let (slot, moment) = (at("2026-03-01T10:00:00Z"), SignedDuration::from_secs(1));
    let start_time = delayed.start_time(slot);
    assert!(start_time.duration_since(slot) > deadline, "choose another uid");
    let due = |now| due_slots(&delayed, at("2026-03-01T09:00:00Z"), now);
    assert_eq!(due(start_time).start, Some(slot));
    assert_eq!(due(start_time + deadline).start, Some(slot));
    assert_eq!(due(start_time + deadline + moment).lost, [slot]);
}
