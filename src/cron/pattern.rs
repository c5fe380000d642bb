//! Pure: a strict parser for the five fields of a cron pattern.
//!
//! Grammar: `minute hour day-of-month month day-of-week`, each a list of `*`, `*/step`, `value`, `low-high` or
//! `low-high/step`. Months and weekdays may be English names of three letters; 7 is Sunday, like 0. Alternatively one of
//! `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`. Extensions of other crons (seconds,
//! years, `TZ=`, `@every`, `?`, `L`, `W`, `#`) are rejected, because each has different meanings elsewhere. The message names
//! the field and what to write.

/// Minutes per day.
pub(super) const DAY: i64 = 24 * 60;

/// As in the schema of `spec.schedule`.
const MAX_PATTERN_CHARS: usize = 256;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Days of each month, in a leap year.
const MONTH_DAYS: [usize; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const MACROS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
const FIELDS: [Field; 5] = [
    Field::new("minute", 0, 59, &[]),
    Field::new("hour", 0, 23, &[]),
    Field::new("day of month", 1, 31, &[]),
    Field::new("month", 1, 12, &MONTHS),
    Field::new("day of week", 0, 7, &WEEKDAYS),
];

/// A pattern or time zone is invalid. The message names the field and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCron(pub String);

/// A parsed pattern, each field as a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub minutes: u64,
    pub hours: u64,
    /// Bit 1 is the first day of a month.
    pub days: u64,
    /// Bit 1 is January.
    pub months: u64,
    /// Bit 0 is Sunday.
    pub weekdays: u64,
    /// Whether a day must match both day fields, because one of them starts with `*`. Otherwise one of them is enough.
    pub both_days: bool,
    /// Whether neither minute nor hour starts with `*`.
    pub fixed: bool,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    low: u8,
    high: u8,
    /// Names of the values, starting at `low`.
    names: &'static [&'static str],
}

impl Pattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let length = text.chars().count();
        if length > MAX_PATTERN_CHARS {
            return Err(InvalidCron(format!(
                "`{}` has {length} characters, the maximum is {MAX_PATTERN_CHARS}",
                excerpt(text)
            )));
        }
        let text = match text.strip_prefix('@') {
            Some(_) => expand_macro(text)?,
            None => text,
        };
        let words: Vec<&str> = text.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
        let Ok(words) = <[&str; 5]>::try_from(words) else {
            return Err(wrong_field_count(text));
        };
        let mut sets = [0; 5];
        for ((set, field), word) in sets.iter_mut().zip(&FIELDS).zip(words) {
            *set = field.parse(word)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let [starred_minute, starred_hour, starred_day, _, starred_weekday] =
            words.map(|w| w.starts_with('*'));
        Ok(Self {
            minutes,
            hours,
            days,
            months,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            both_days: starred_day || starred_weekday,
            fixed: !(starred_minute || starred_hour),
        })
    }

    /// Whether any day matches: 30 February never does.
    pub fn has_days(&self) -> bool {
        // If one of the day fields is enough, every month has a matching day, because it has every weekday.
        let has = |set: u64, n: usize| set >> n & 1 == 1;
        let mut months = (1..)
            .zip(MONTH_DAYS)
            .filter(|(month, _)| has(self.months, *month));
        !self.both_days || months.any(|(_, length)| (1..=length).any(|day| has(self.days, day)))
    }

    /// Whether a day matches.
    pub fn is_on(&self, date: jiff::civil::Date) -> bool {
        let has = |set: u64, n: i8| set >> n & 1 == 1;
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let day_matches = if self.both_days {
            day && weekday
        } else {
            day || weekday
        };
        has(self.months, date.month()) && day_matches
    }

    /// The first matching minute of a day, starting at `minute`.
    pub fn first_from(&self, minute: i64) -> Option<i64> {
        let (hour, least) = (minute / 60, minute % 60);
        let hour = next_bit(self.hours, hour).map(|h| (h, if h == hour { least } else { 0 }));
        let (hour, least) = hour?;
        match next_bit(self.minutes, least) {
            Some(minute) => Some(hour * 60 + minute),
            None => self.first_from((hour + 1) * 60),
        }
    }

    /// The last matching minute of a day, up to `minute`.
    pub fn last_to(&self, minute: i64) -> Option<i64> {
        let (hour, most) = (minute.div_euclid(60), minute.rem_euclid(60));
        let hour = previous_bit(self.hours, hour).map(|h| (h, if h == hour { most } else { 59 }));
        let (hour, most) = hour?;
        match previous_bit(self.minutes, most) {
            Some(minute) => Some(hour * 60 + minute),
            None => self.last_to(hour * 60 - 1),
        }
    }
}

/// The smallest number in the set that is at least `from`.
fn next_bit(set: u64, from: i64) -> Option<i64> {
    let left = u32::try_from(from)
        .ok()
        .and_then(|n| u64::MAX.checked_shl(n))
        .unwrap_or(0)
        & set;
    (left != 0).then(|| i64::from(left.trailing_zeros()))
}

/// The largest number in the set that is at most `to`.
fn previous_bit(set: u64, to: i64) -> Option<i64> {
    let left = u32::try_from(63 - to)
        .ok()
        .and_then(|n| u64::MAX.checked_shr(n))
        .unwrap_or(0)
        & set;
    (to >= 0 && left != 0).then(|| 63 - i64::from(left.leading_zeros()))
}

fn expand_macro(text: &str) -> Result<&'static str, InvalidCron> {
    if let Some((_, pattern)) = MACROS.iter().find(|(name, _)| *name == text) {
        return Ok(pattern);
    }
    let word = text.trim_end_matches([' ', '\t']);
    if MACROS.iter().any(|(name, _)| *name == word) {
        let text = excerpt(text);
        return Err(InvalidCron(format!("`{text}` ends with blanks: write {word}")));
    }
    let known: Vec<&str> = MACROS.iter().map(|(name, _)| *name).collect();
    let instead = if word.starts_with("@every") {
        "; for an interval write */5 and the like"
    } else {
        ""
    };
    Err(InvalidCron(format!(
        "`{}` is not known: use {}{instead}",
        excerpt(word),
        known.join(", ")
    )))
}

fn wrong_field_count(text: &str) -> InvalidCron {
    let count = text.split([' ', '\t']).filter(|w| !w.is_empty()).count();
    let hint = match text.trim_start() {
        zoned if zoned.starts_with("TZ=") || zoned.starts_with("CRON_TZ=") => {
            "set the time zone in the field timeZone"
        }
        _ if count > 5 => "there are no seconds, no years and nothing after the day of week",
        _ => "write `*` for any value",
    };
    InvalidCron(format!(
        "`{}` has {count} fields, not the five minute, hour, day of month, month and day of week: {hint}",
        excerpt(text)
    ))
}

impl Field {
    const fn new(name: &'static str, low: u8, high: u8, names: &'static [&'static str]) -> Self {
        Self {
            name,
            low,
            high,
            names,
        }
    }

    /// The set of values in a list.
    fn parse(&self, list: &str) -> Result<u64, InvalidCron> {
        list.split(',')
            .try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, InvalidCron> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (self.value(low)?, self.value(high)?),
            None if range == "*" => (self.low, self.high),
            None => {
                let value = self.value(range)?;
                if step.is_some() {
                    let instead = format!("{range}-{}{}", self.high, &item[range.len()..]);
                    return Err(self.reject(item, &format!("a step needs a range: write {instead}")));
                }
                (value, value)
            }
        };
        if low > high {
            return Err(self.reject(
                item,
                "the range runs down: write the lower end first, or split it into two ranges",
            ));
        }
        let values = (low..=high).step_by(usize::from(step.unwrap_or(1)));
        Ok(values.fold(0, |set, value| set | 1 << value))
    }

    fn step(&self, step: &str) -> Result<u8, InvalidCron> {
        number(step)
            .filter(|step| *step > 0)
            .ok_or_else(|| self.reject(step, "a step is a number from 1 to 99"))
    }

    fn value(&self, word: &str) -> Result<u8, InvalidCron> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let value = match named {
            Some(at) => u8::try_from(at).ok().map(|at| at + self.low),
            None => number(word),
        };
        value
            .filter(|value| (self.low..=self.high).contains(value))
            .ok_or_else(|| self.reject(word, &self.hint(word)))
    }

    fn hint(&self, word: &str) -> String {
        if word == "?" {
            return "for any write `*`".into();
        }
        let names = match self.names {
            [first, .., last] => format!(", or a name from {first} to {last}"),
            _ => String::new(),
        };
        let not_here = if word.contains(['L', 'W', '#', '?']) && word.len() < 4 {
            "; L, W, # and ? of other crons are not supported"
        } else {
            ""
        };
        format!(
            "write a number from {} to {}{names}{not_here}",
            self.low, self.high
        )
    }

    fn reject(&self, what: &str, remedy: &str) -> InvalidCron {
        InvalidCron(format!(
            "`{}` in the field {}: {remedy}",
            excerpt(what),
            self.name
        ))
    }
}

/// One or two digits.
fn number(word: &str) -> Option<u8> {
    let digits = (1..=2).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|_| digits)
}

/// At most 60 characters of a user's text, escaped to one line.
pub(super) fn excerpt(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut excerpt: String = escaped.by_ref().take(60).collect();
    if escaped.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests;
