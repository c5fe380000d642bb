//! Pure: numbers and durations in words.

use jiff::{SignedDuration, Timestamp};

/// How long ago something was: in its largest unit, rounded down. A time in the future, by another clock, is now.
pub fn ago(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        "less than a minute ago".to_owned()
    } else {
        format!("{} ago", self::duration(duration))
    }
}

/// A duration in its largest unit, rounded down.
pub fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A duration in its two largest units, to compare it with others.
pub fn exact_duration(duration: SignedDuration) -> String {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(0);
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
        _ => format!("{} h {} min", millis / 3_600_000, millis % 3_600_000 / 60_000),
    }
}

/// How far away something in the future is. In the past, by another clock or because it is late, it is now.
pub fn ahead(time: SignedDuration) -> String {
    if time.as_secs() < 60 {
        "in less than a minute".to_owned()
    } else {
        format!("in {}", duration(time))
    }
}

/// A time to the minute, in UTC.
pub fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A number with a comma between thousands.
pub fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", groups.join(","))
}

/// A number of stations.
pub fn stations(count: i64) -> String {
    format!(
        "{} {}",
        number(count),
        if count == 1 { "station" } else { "stations" }
    )
}

/// A share in percent, rounded down to a tenth: 100 % means all. `None` if there is no whole.
pub fn share(part: i64, whole: i64) -> Option<String> {
    if whole <= 0 {
        return None;
    }
    let tenths = part.saturating_mul(1000) / whole;
    Some(match tenths % 10 {
        0 => format!("{} %", tenths / 10),
        tenth => format!("{}.{tenth} %", tenths / 10),
    })
}

/// How a schedule is suspended, as the end of a sentence.
pub fn suspension(reason: Option<&str>) -> String {
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("suspended: {}", sentence(reason)),
        None => "suspended, without a reason.".to_owned(),
    }
}

/// A message as a sentence: with a capital letter and a full stop.
pub fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    let mut sentence: String = first.into_iter().chain(chars).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_given_in_their_largest_unit() {
        let cases = [
            (-5, "less than a minute ago"),
            (59, "less than a minute ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (6 * 3600 + 3599, "6 h ago"),
            (47 * 3600, "47 h ago"),
            (48 * 3600, "2 days ago"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(ago(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn the_future_and_durations_have_the_same_units() {
        for (seconds, expected) in [
            (-5, "in less than a minute"),
            (60, "in 1 min"),
            (6 * 3600, "in 6 h"),
        ] {
            assert_eq!(ahead(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
        for (seconds, expected) in [(-1, "0 s"), (59, "59 s"), (86_400, "24 h"), (172_800, "2 days")] {
            assert_eq!(
                duration(SignedDuration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("try again"), "Try again.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("été"), "été.");
    }

    #[test]
    fn numbers_are_grouped() {
        let cases = [
            (0, "0"),
            (704, "704"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-4321, "-4,321"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        let cases = [
            (0, 0, None),
            (0, 7, Some("0 %")),
            (7, 7, Some("100 %")),
            (99_999, 100_000, Some("99.9 %")),
            (1, 3, Some("33.3 %")),
        ];
        for (part, whole, expected) in cases {
            assert_eq!(share(part, whole).as_deref(), expected, "{part} of {whole}");
        }
    }
}
