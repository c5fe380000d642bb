//! Pure: a cron pattern in words. Two patterns have the same words only if they match the same times of the wall clock.

use super::pattern::Pattern;
use super::search::Cron;

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// More times of day than that are described instead of listed.
const MAX_LISTED_TIMES: usize = 8;

impl Cron {
    /// The pattern in words, such as "Every Monday to Friday at 04:00 and 16:00". Without the time zone.
    pub fn in_words(&self) -> String {
        describe(self.pattern())
    }
}

fn describe(pattern: &Pattern) -> String {
    let (days, time) = (days(pattern), times(pattern));
    match (days.as_str(), time.strip_prefix("every ")) {
        ("every day", Some(interval)) => format!("Every {interval}"),
        (_, Some(_)) => capitalized(&format!("{days}, {time}")),
        (_, None) => capitalized(&format!("{days} {time}")),
    }
}

/// Days and months.
fn days(pattern: &Pattern) -> String {
    let days = values(pattern.days, 1, 31);
    let weekdays: Vec<usize> = (0..7)
        .filter(|day| pattern.weekdays >> ((day + 1) % 7) & 1 == 1)
        .collect();
    let (all_days, all_weekdays) = (days.len() == 31, weekdays.len() == 7);
    let of_month = || match days.as_slice() {
        [day] => format!("on day {day} of the month"),
        _ => format!(
            "on the days {} of the month",
            ranges(&days, |day| day.to_string())
        ),
    };
    let names = || ranges(&weekdays, |day| WEEKDAYS[day].to_owned());
    let days = match (pattern.both_days, all_days, all_weekdays) {
        (true, true, true) | (false, true, _) | (false, _, true) => "every day".to_owned(),
        (true, true, false) => format!("every {}", names()),
        (true, false, true) => of_month(),
        (true, false, false) => format!("{} if it is a {}", of_month(), names()),
        (false, false, false) => format!("{} and every {}", of_month(), names()),
    };
    let months = values(pattern.months, 1, 12);
    if months.len() == 12 {
        return days;
    }
    let months = ranges(&months, |month| MONTHS[month - 1].to_owned());
    format!("{days} in {months}")
}

/// Hours and minutes.
fn times(pattern: &Pattern) -> String {
    let (minutes, hours) = (values(pattern.minutes, 0, 59), values(pattern.hours, 0, 23));
    let of_hours = match (hours.len(), step(&hours, 24)) {
        (24, _) => String::new(),
        (_, Some(step)) => format!(" of every {} hour from 00:00", ordinal(step)),
        (1, _) => format!(" of the hour {:02}", hours[0]),
        _ => format!(" of the hours {}", ranges(&hours, |hour| format!("{hour:02}"))),
    };
    if minutes.len() == 60 {
        return format!("every minute{of_hours}");
    }
    if hours.len() * minutes.len() <= MAX_LISTED_TIMES {
        let all = hours.iter().flat_map(|hour| {
            let minutes = minutes.iter();
            minutes.map(move |minute| format!("{hour:02}:{minute:02}"))
        });
        return format!("at {}", list(&all.collect::<Vec<_>>()));
    }
    if let Some(step) = step(&minutes, 60) {
        return format!("every {step} minutes{of_hours}");
    }
    let of_hours = if of_hours.is_empty() {
        " of every hour"
    } else {
        &of_hours
    };
    match minutes.as_slice() {
        [minute] => format!("at minute {minute}{of_hours}"),
        _ => format!(
            "at the minutes {}{of_hours}",
            ranges(&minutes, |minute| minute.to_string())
        ),
    }
}

/// The values of a bit set.
fn values(set: u64, low: usize, high: usize) -> Vec<usize> {
    (low..=high).filter(|value| set >> value & 1 == 1).collect()
}

/// The distance of values that divide the whole from zero on, if there are at least three.
fn step(values: &[usize], whole: usize) -> Option<usize> {
    let step = *values.get(1)?;
    let is_even = values.len() > 2
        && whole.is_multiple_of(step)
        && values.len() == whole / step
        && values
            .iter()
            .enumerate()
            .all(|(index, value)| *value == index * step);
    is_even.then_some(step)
}

/// Values in ascending order; three or more in a row as a range.
fn ranges(values: &[usize], name: impl Fn(usize) -> String) -> String {
    let mut rest = values;
    let mut parts = Vec::new();
    while let [first, ..] = rest {
        let in_a_row = rest
            .iter()
            .enumerate()
            .take_while(|(index, value)| **value == first + index)
            .count();
        let taken = if in_a_row > 2 { in_a_row } else { 1 };
        let last = first + taken - 1;
        parts.push(if taken > 1 {
            format!("{} to {}", name(*first), name(last))
        } else {
            name(*first)
        });
        rest = &rest[taken..];
    }
    list(&parts)
}

/// Such as "1, 2 and 3".
fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn ordinal(number: usize) -> String {
    match number {
        2 => "2nd".to_owned(),
        3 => "3rd".to_owned(),
        _ => format!("{number}th"),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::civil::date;

    use super::*;

    fn words(pattern: &str) -> String {
        describe(&Pattern::parse(pattern).unwrap())
    }

    #[test]
    fn patterns_are_described() {
        let cases = [
            ("* * * * *", "Every minute"),
            ("*/15 * * * *", "Every 15 minutes"),
            ("0 * * * *", "Every day at minute 0 of every hour"),
            ("5,35 * * * *", "Every day at the minutes 5 and 35 of every hour"),
            ("0 4 * * *", "Every day at 04:00"),
            ("@daily", "Every day at 00:00"),
            ("0 */6 * * *", "Every day at 00:00, 06:00, 12:00 and 18:00"),
            (
                "30 */2 * * *",
                "Every day at minute 30 of every 2nd hour from 00:00",
            ),
            ("0,30 4,16 * * *", "Every day at 04:00, 04:30, 16:00 and 16:30"),
            ("0 4 * * 1-5", "Every Monday to Friday at 04:00"),
            ("0 4 * * 0,6", "Every Saturday and Sunday at 04:00"),
            ("0 4 * * sun", "Every Sunday at 04:00"),
            (
                "*/10 8-17 * * 1-5",
                "Every Monday to Friday, every 10 minutes of the hours 08 to 17",
            ),
            ("* 4 * * *", "Every minute of the hour 04"),
            ("0 0 1 * *", "On day 1 of the month at 00:00"),
            ("0 0 1,15 * *", "On the days 1 and 15 of the month at 00:00"),
            ("0 0 1 1 *", "On day 1 of the month in January at 00:00"),
            ("0 0 13 * 5", "On day 13 of the month and every Friday at 00:00"),
            ("0 0 1-31 * 5", "Every day at 00:00"),
            (
                "0 0 */10 * 5",
                "On the days 1, 11, 21 and 31 of the month if it is a Friday at 00:00",
            ),
            ("0 4 * 3-5,10 *", "Every day in March to May and October at 04:00"),
            (
                "1-59/7 3 * * *",
                "Every day at the minutes 1, 8, 15, 22, 29, 36, 43, 50 and 57 of the hour 03",
            ),
        ];
        for (pattern, expected) in cases {
            assert_eq!(words(pattern), expected, "{pattern}");
        }
    }

    /// All patterns of these fields.
    fn patterns(fields: [&[&str]; 5]) -> Vec<String> {
        let [first, rest @ ..] = fields;
        let start: Vec<String> = first.iter().map(|&field| field.to_owned()).collect();
        rest.iter().fold(start, |patterns, fields| {
            let longer = |pattern: &String| {
                let pattern = pattern.clone();
                fields.iter().map(move |field| format!("{pattern} {field}"))
            };
            patterns.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn the_same_words_mean_the_same_times() {
        let times = [
            "*", "0", "5", "*/2", "*/3", "*/5", "*/7", "0-10", "1-23/2", "0,2,4", "0,12", "1,2,3,5",
            "0-23/6", "22,23",
        ];
        let days = ["*", "1", "1,2", "1-3", "*/2", "1-31", "2-30/2", "31"];
        let months = ["*", "1", "1-3", "1-12", "*/2"];
        let weekdays = ["*", "0", "7", "1-5", "0-6", "*/2", "6,0", "1,3"];
        let patterns = [
            patterns([&times, &times, &["*"], &["*"], &["*", "1"]]),
            patterns([&["0"], &["4"], &days, &months, &weekdays]),
        ]
        .concat();
        let mut known = HashMap::new();
        for text in &patterns {
            let pattern = Pattern::parse(text).unwrap();
            let days: Vec<bool> = date(2024, 1, 1)
                .series(jiff::Span::new().days(1))
                .take(366)
                .map(|day| pattern.is_on(day))
                .collect();
            let slots = (pattern.minutes, pattern.hours, pattern.months, days);
            let (other, others) = known.entry(describe(&pattern)).or_insert((text, slots.clone()));
            assert_eq!(
                *others,
                slots,
                "{text} and {other} have the same words: {}",
                describe(&pattern)
            );
        }
        assert!(known.len() > 400, "{}", known.len());
    }
}
