use jiff::Timestamp;

use super::{Cron, minute, timestamp};

const GOLDEN: &str = include_str!("../../../tests/cron/golden.txt");
/// Minutes before and after a change of the offset, as in golden.py.
const WINDOW: i64 = 26 * 60;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(pattern: &str, zone: &str) -> Cron {
    Cron::parse(pattern, zone).unwrap()
}

/// Parses slots that golden.py wrote as `first+step*more …`.
fn slots(runs: &str) -> Vec<i64> {
    let run = |run: &str| {
        let (first, more) = run.split_once('+').unwrap_or((run, "0*0"));
        let (step, more) = more.split_once('*').unwrap();
        let number = |text: &str| text.parse::<i64>().unwrap();
        let (first, step, more) = (number(first), number(step), number(more));
        (0..=more).map(move |n| first + step * n)
    };
    runs.split(' ').filter(|run| *run != "-").flat_map(run).collect()
}

#[test]
fn golden_table_holds_forwards_and_backwards() {
    let mut cases = 0;
    for line in GOLDEN.lines() {
        let [zone, instant, pattern, runs] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (cron, centre) = (cron(pattern, zone), instant.parse::<i64>().unwrap() / 60);
        let expected = slots(runs);
        let (first, last) = (centre - WINDOW, centre + WINDOW);
        let next = |t: &i64| cron.next_after(timestamp(*t).unwrap()).map(minute);
        let forwards = std::iter::successors(next(&(first - 1)), next).take_while(|slot| *slot <= last);
        assert_eq!(
            forwards.map(|m| m - centre).collect::<Vec<_>>(),
            expected,
            "forwards: {line}"
        );
        let newest = |t: i64| cron.newest_until(timestamp(t).unwrap()).map(minute);
        let backwards =
            std::iter::successors(newest(last), |slot| newest(slot - 1)).take_while(|slot| *slot >= first);
        let mut backwards: Vec<_> = backwards.map(|m| m - centre).collect();
        backwards.reverse();
        assert_eq!(backwards, expected, "backwards: {line}");
        cases += 1;
    }
    assert_eq!(cases, 3 * 12 * 25);
}

#[test]
fn rare_slots_are_found_and_what_never_comes_ends() {
    let leap = cron("0 0 29 2 */7", "Etc/UTC");
    let next = |t| leap.next_after(at(t)).unwrap();
    assert_eq!(next("2026-01-01T00:00:00Z"), at("2032-02-29T00:00:00Z"));
    assert_eq!(next("2060-02-29T00:00:00Z"), at("2088-02-29T00:00:00Z"));
    assert_eq!(next("2088-02-29T00:00:00Z"), at("2128-02-29T00:00:00Z"));
    assert_eq!(
        leap.newest_until(at("2128-02-28T00:00:00Z")),
        Some(at("2088-02-29T00:00:00Z"))
    );
    for pattern in ["0 0 30 2 *", "0 0 31 4,6,9,11 */1"] {
        let never = cron(pattern, "Europe/Berlin");
        assert_eq!(never.next_after(at("2026-01-01T00:00:00Z")), None, "{pattern}");
        assert_eq!(never.newest_until(at("2026-01-01T00:00:00Z")), None, "{pattern}");
    }
}

#[test]
fn ends_of_the_time_range_do_not_panic() {
    for pattern in ["* * * * *", "0 0 1 1 *", "0 0 30 2 *"] {
        for zone in ["Etc/UTC", "America/New_York", "Pacific/Apia"] {
            let cron = cron(pattern, zone);
            for t in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
                let (_, _) = (cron.next_after(t), cron.newest_until(t));
            }
        }
    }
}

#[test]
fn next_is_strictly_later_and_newest_includes_the_time_itself() {
    let cron = cron("*/5 * * * *", "Etc/UTC");
    let exact = at("2026-03-01T10:05:00Z");
    assert_eq!(cron.next_after(exact), Some(at("2026-03-01T10:10:00Z")));
    assert_eq!(cron.newest_until(exact), Some(exact));
    let within = at("2026-03-01T10:05:59.999Z");
    assert_eq!(cron.next_after(within), Some(at("2026-03-01T10:10:00Z")));
    assert_eq!(cron.newest_until(within), Some(exact));
    let before = at("2026-03-01T10:04:59.999999999Z");
    assert_eq!(cron.next_after(before), Some(exact));
    assert_eq!(cron.newest_until(before), Some(at("2026-03-01T10:00:00Z")));
    // Before 1970, seconds and nanoseconds are negative.
    let old = at("1969-12-31T23:59:59.5Z");
    assert_eq!(cron.newest_until(old), Some(at("1969-12-31T23:55:00Z")));
    assert_eq!(cron.next_after(old), Some(at("1970-01-01T00:00:00Z")));
}

#[test]
fn unknown_time_zones_are_rejected() {
    for zone in [
        "Mars/Olympus",
        "",
        "Local",
        "UTC+2",
        "Europe/Berlin ",
        "../etc",
        "Etc/Unknown",
        "Factory",
        "etc/unknown",
    ] {
        let message = Cron::parse("0 0 * * *", zone).unwrap_err().to_string();
        assert!(message.contains("Africa/Johannesburg"), "{zone}: {message}");
    }
}
