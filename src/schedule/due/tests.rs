use jiff::{SignedDuration, Timestamp};

use super::{Due, Rules, due};
use crate::schedule::cron::Cron;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rules(cron: &Cron) -> Rules<'_> {
    Rules {
        cron,
        uid: "9d1c0b4e",
        starting_deadline: SignedDuration::from_hours(1),
        jitter: 0,
    }
}

fn hourly() -> Cron {
    Cron::parse("0 * * * *", "Etc/UTC").unwrap()
}

/// Hours and minutes of one day.
fn told(due: &Due) -> [Option<String>; 3] {
    let short = |t: Timestamp| t.to_string()[11..19].to_owned();
    [due.start, due.missed, due.next].map(|t| t.map(short))
}

#[test]
fn both_edges_of_each_bound() {
    let cron = hourly();
    for (not_before, now, expected) in [
        // Not yet, now, still.
        ("09:30:00", "09:59:59.999", ["", "", "10:00:00"]),
        ("09:30:00", "10:00:00", ["10:00:00", "", "11:00:00"]),
        ("09:30:00", "10:30:00", ["10:00:00", "", "11:00:00"]),
        // Dealt with, or nobody's: the bound itself is.
        ("10:00:00", "10:00:00", ["", "", "11:00:00"]),
        ("09:59:59", "10:00:00", ["10:00:00", "", "11:00:00"]),
        // The newest of several, and the one before it is missed.
        ("08:30:00", "10:00:00", ["10:00:00", "09:00:00", "11:00:00"]),
        ("01:30:00", "10:30:00", ["10:00:00", "09:00:00", "11:00:00"]),
        // The clock is behind.
        ("12:30:00", "10:00:00", ["", "", "13:00:00"]),
    ] {
        let (not_before, now) = (format!("2026-03-01T{not_before}Z"), format!("2026-03-01T{now}Z"));
        let due = due(&rules(&cron), at(&not_before), at(&now));
        let expected = expected.map(|text| (!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(told(&due), expected, "{not_before} {now}");
        assert_eq!(due.again, due.next);
    }
}

#[test]
fn both_edges_of_the_deadline() {
    let cron = Cron::parse("0 6 * * *", "Etc/UTC").unwrap();
    let slot = at("2026-03-01T06:00:00Z");
    let at_deadline = due(
        &rules(&cron),
        at("2026-03-01T00:00:00Z"),
        at("2026-03-01T07:00:00Z"),
    );
    assert_eq!((at_deadline.start, at_deadline.missed), (Some(slot), None));
    let past_it = due(
        &rules(&cron),
        at("2026-03-01T00:00:00Z"),
        at("2026-03-01T07:00:00.001Z"),
    );
    assert_eq!((past_it.start, past_it.missed), (None, Some(slot)));
    let years_past = due(
        &rules(&cron),
        at("2021-03-01T00:00:00Z"),
        at("2026-03-01T05:00:00Z"),
    );
    assert_eq!(years_past.missed, Some(at("2026-02-28T06:00:00Z")));
}

#[test]
fn a_delay_is_the_same_each_time_and_ends_before_the_next_slot() {
    let cron = hourly();
    let delayed = Rules {
        jitter: 3600,
        ..rules(&cron)
    };
    let (mut slot, mut delays) = (at("2026-03-01T00:00:00Z"), Vec::new());
    for _ in 0..500 {
        slot = cron.next_after(slot).unwrap();
        let begins = delayed.begins(slot);
        assert_eq!(begins, delayed.begins(slot));
        assert!((slot..cron.next_after(slot).unwrap()).contains(&begins));
        delays.push(begins.duration_since(slot).as_secs());
    }
    let of_half = delays.iter().filter(|d| **d < 1800).count();
    assert!(
        (200..300).contains(&of_half),
        "{of_half} of 500 in the first half"
    );
    let other = Rules {
        uid: "another",
        ..delayed
    };
    assert_ne!(other.begins(slot), delayed.begins(slot));
}

#[test]
fn a_delayed_slot_keeps_its_time() {
    let cron = hourly();
    let delayed = Rules {
        jitter: 3600,
        ..rules(&cron)
    };
    let slot = at("2026-03-01T10:00:00Z");
    let begins = delayed.begins(slot);
    assert!(begins > slot, "the choice of uid is unlucky");
    let moment = SignedDuration::from_secs(1);
    let before = due(&delayed, at("2026-03-01T09:00:00Z"), begins - moment);
    assert_eq!((before.start, before.missed), (None, None));
    assert_eq!((before.next, before.again), (Some(slot), Some(begins)));
    let then = due(&delayed, at("2026-03-01T09:00:00Z"), begins);
    assert_eq!((then.start, then.missed), (Some(slot), None));
    // While it is held back, one that was late is still to be dealt with.
    let late = due(&delayed, at("2026-03-01T08:00:00Z"), begins - moment);
    assert_eq!(late.start.or(late.missed), Some(at("2026-03-01T09:00:00Z")));
    assert_eq!(late.next, Some(slot));
}
