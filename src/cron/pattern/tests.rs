use jiff::civil::date;

use super::Pattern;

fn parse(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn equivalent_patterns_are_equal() {
    for (one, other) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "@daily"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "@yearly"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 0-7", "0 0 * * 0-6"),
        ("0 0 * * sun", "0 0 * * 0"),
        ("0 0 * * MON-Fri", "0 0 * * 1-5"),
        ("0 0 * jan,Dec *", "0 0 * 1,12 *"),
        ("0 0 * jan-mar/2 *", "0 0 * 1,3 *"),
        ("00 09 * * *", "0 9 * * *"),
        ("  0\t0  * * * ", "0 0 * * *"),
        ("1-10/4 0 * * *", "1,5,9 0 * * *"),
    ] {
        assert_eq!(parse(one), parse(other), "{one} and {other}");
    }
}

#[test]
fn first_character_decides_whether_a_pattern_is_fixed() {
    for (text, fixed) in [
        ("0 0 * * *", true),
        ("0-59 0 * * *", true),
        ("0 0-23 * * *", true),
        ("5,* 0 * * *", true),
        ("* 0 * * *", false),
        ("*/60 0 * * *", false),
        ("0 * * * *", false),
        ("0 */2 * * *", false),
        ("*,5 0 * * *", false),
    ] {
        assert_eq!(parse(text).fixed, fixed, "{text}");
    }
}

#[test]
fn days_must_match_both_fields_if_one_starts_with_a_star() {
    // A Friday the 13th, another 13th, another Friday.
    let (both, day, weekday) = (date(2026, 2, 13), date(2026, 4, 13), date(2026, 2, 20));
    for (text, expected) in [
        ("0 0 13 * 5", [true, true, true]),
        ("0 0 13 * *", [true, true, false]),
        ("0 0 * * 5", [true, false, true]),
        // 1, 4, 7, 10, 13, …
        ("0 0 */3 * 5", [true, false, false]),
        ("0 0 13 * */5", [true, false, false]),
        ("0 0 13 * 0-7", [true, true, true]),
    ] {
        assert_eq!(
            [both, day, weekday].map(|d| parse(text).is_on(d)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn minutes_of_a_day_are_found_forwards_and_backwards() {
    let pattern = parse("10,50 3,22 * * *");
    let minutes = [3 * 60 + 10, 3 * 60 + 50, 22 * 60 + 10, 22 * 60 + 50];
    for minute in 0..24 * 60 {
        let first = minutes.into_iter().find(|m| *m >= minute);
        let last = minutes.into_iter().rfind(|m| *m <= minute);
        assert_eq!(
            (pattern.first_from(minute), pattern.last_to(minute)),
            (first, last),
            "{minute}"
        );
    }
}

/// Invalid patterns, each with a part of the message.
const INVALID: &[(&str, &str)] = &[
    ("", "0 fields"),
    ("* * * *", "4 fields"),
    (
        "0 0 0 * * *",
        "6 fields, not the five minute, hour, day of month, month and day of week: there are no seconds",
    ),
    ("0 0 * * * root", "nothing after the day of week"),
    ("TZ=Africa/Johannesburg 0 0 * * *", "timeZone"),
    ("CRON_TZ=UTC 0 0 * * *", "timeZone"),
    ("@every 5m", "*/5"),
    ("@reboot", "`@reboot` is not known: use @hourly"),
    ("@Daily", "is not known"),
    ("@daily 0", "is not known"),
    (
        "60 0 * * *",
        "`60` in the field minute: write a number from 0 to 59",
    ),
    ("0 24 * * *", "`24` in the field hour"),
    (
        "0 0 0 * *",
        "`0` in the field day of month: write a number from 1 to 31",
    ),
    ("0 0 32 * *", "day of month"),
    (
        "0 0 * 13 *",
        "`13` in the field month: write a number from 1 to 12, or a name from jan to dec",
    ),
    ("0 0 * * 8", "`8` in the field day of week"),
    ("0 0 * january *", "month"),
    ("0 0 * * jan", "day of week"),
    ("mon 0 * * *", "minute"),
    (
        "0 0 L * *",
        "`L` in the field day of month: write a number from 1 to 31; L, W, # and ?",
    ),
    ("0 0 15W * *", "L, W, # and ?"),
    ("0 0 * * 5#2", "L, W, # and ?"),
    ("0 0 ? * 1", "`?` in the field day of month: for any write `*`"),
    (
        "50-10 0 * * *",
        "`50-10` in the field minute: the range runs down",
    ),
    ("0 0 * * sat-sun", "the range runs down"),
    (
        "*/0 * * * *",
        "`0` in the field minute: a step is a number from 1 to 99",
    ),
    ("*/ * * * *", "a step is a number"),
    ("*/-1 * * * *", "a step is a number"),
    ("*/2/3 * * * *", "a step is a number"),
    ("5/10 * * * *", "a step needs a range: write 5-59/10"),
    ("1, * * * *", "`` in the field minute"),
    ("1,,2 * * * *", "`` in the field minute"),
    ("1- * * * *", "minute"),
    ("-1 * * * *", "minute"),
    ("*-5 * * * *", "`*` in the field minute"),
    ("** * * * *", "`**` in the field minute"),
    ("1.5 * * * *", "minute"),
    ("+1 * * * *", "minute"),
    ("001 * * * *", "minute"),
    ("٣ * * * *", "minute"),
    ("0\u{a0}0 * * * *", "minute"),
    ("0\n0 * * *", "4 fields"),
];

#[test]
fn what_is_refused_names_the_field_and_the_remedy() {
    for (text, expected) in INVALID {
        let message = Pattern::parse(text).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{text:?}: {message}");
        assert!(
            !message.contains('\n') && message.len() < 300,
            "{text:?}: {message}"
        );
    }
    for (length, is_valid) in [(256, true), (257, false)] {
        let padded = format!("{:length$}", "0 0 * * *");
        assert_eq!(Pattern::parse(&padded).is_ok(), is_valid, "{length}");
    }
    let long = "1,".repeat(4000) + "x * * * *";
    assert!(Pattern::parse(&long).unwrap_err().to_string().len() < 300);
}
