//! Pure: when a pattern is due in a time zone, both ways: the next slot after a time, and the newest one up to a time.
//!
//! A slot is a whole minute of real time. Where a zone's offset changes, by daylight saving or otherwise, this is Debian's
//! cron. A pattern is *fixed* unless its minute or its hour begins with `*`.
//!
//! | the wall clock | fixed | wildcard |
//! |---|---|---|
//! | leaps forward | what it leapt over is due at the first instant after it, together | nothing for what it leapt over |
//! | is set back | each minute at its first pass | each minute at each pass |
//! | either, by more than three hours | a corrected clock: what it shows counts, like a wildcard | the same |
//!
//! The walk goes stretch by stretch of one offset, and within a stretch civil day by civil day, so that it takes the same
//! whatever lies between: it ends after 41 years, which is longer than any pattern with a slot needs to find it.
//! Zones are those of the database that jiff carries, whatever the machine has.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::pattern::{DAY, Invalid, Pattern, shown};

/// In minutes: 41 years. `0 0 29 2 */7` comes in 2088, and then in 2128.
const HORIZON: i64 = 41 * 366 * DAY;
/// In minutes. A clock that leaps further was wrong before.
const CORRECTED: i64 = 3 * 60;

/// A pattern in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    pattern: Pattern,
    zone: TimeZone,
}

/// Minutes of real time with one offset between civil and real time, from one change of it to the next.
struct Stretch {
    from: i64,
    until: i64,
    offset: i64,
    /// By how much the wall clock leapt at its beginning; below 0 if it was set back.
    leap: i64,
}

impl Cron {
    /// Reads a pattern and looks up its zone.
    ///
    /// # Errors
    /// Says which field of the pattern is wrong and what to write, or that the zone is not known.
    pub fn parse(schedule: &str, time_zone: &str) -> Result<Self, Invalid> {
        let pattern = Pattern::parse(schedule)?;
        let zone = TimeZoneDatabase::bundled().get(time_zone).map_err(|_| {
            Invalid(format!(
                "the time zone `{}` is not known: write a name of the IANA database such as Africa/Johannesburg or Etc/UTC",
                shown(time_zone)
            ))
        })?;
        Ok(Self { pattern, zone })
    }

    /// Its zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first slot after `t`; `None` if there is none within 41 years, so none at all.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        if !self.pattern.has_days() {
            return None;
        }
        let from = minute(t) + 1;
        let mut at = from;
        while at < from + HORIZON {
            let stretch = self.stretch(at)?;
            if let Some(slot) = self.first(&stretch, from) {
                return timestamp(slot);
            }
            at = stretch.until;
        }
        None
    }

    /// The newest slot that is not after `t`; `None` if there is none within 41 years.
    pub fn newest_until(&self, t: Timestamp) -> Option<Timestamp> {
        if !self.pattern.has_days() {
            return None;
        }
        let until = minute(t);
        let mut at = until;
        while at > until - HORIZON {
            let stretch = self.stretch(at)?;
            if let Some(slot) = self.last(&stretch, until) {
                return timestamp(slot);
            }
            at = stretch.from - 1;
        }
        None
    }

    /// The first slot of a stretch that is not before `from`.
    fn first(&self, stretch: &Stretch, from: i64) -> Option<i64> {
        if from <= stretch.from && self.is_caught_up(stretch) {
            return Some(stretch.from);
        }
        let from = self.begin(stretch).max(from);
        let until = stretch.until.min(from.saturating_add(HORIZON));
        self.first_civil(from + stretch.offset, until.saturating_add(stretch.offset))
            .map(|civil| civil - stretch.offset)
    }

    /// The last slot of a stretch that is not after `until`.
    fn last(&self, stretch: &Stretch, until: i64) -> Option<i64> {
        let (begin, end) = (self.begin(stretch), until.min(stretch.until - 1));
        let begin = begin.max(end.saturating_sub(HORIZON));
        let found = self.last_civil(begin.saturating_add(stretch.offset), end + stretch.offset);
        found
            .map(|civil| civil - stretch.offset)
            .or_else(|| (stretch.from <= until && self.is_caught_up(stretch)).then_some(stretch.from))
    }

    /// Whether something that the wall clock leapt over is due at the first instant after it.
    fn is_caught_up(&self, stretch: &Stretch) -> bool {
        let civil = stretch.from.saturating_add(stretch.offset);
        self.pattern.fixed
            && (1..=CORRECTED).contains(&stretch.leap)
            && self.first_civil(civil - stretch.leap, civil).is_some()
    }

    /// From where on the stretch shows minutes that count: not those that came before the clock was set back.
    fn begin(&self, stretch: &Stretch) -> i64 {
        if self.pattern.fixed && (-CORRECTED..0).contains(&stretch.leap) {
            stretch.from - stretch.leap
        } else {
            stretch.from
        }
    }

    /// The first civil minute of the pattern in `from..until`.
    fn first_civil(&self, from: i64, until: i64) -> Option<i64> {
        let (first, last) = (from.div_euclid(DAY), (until - 1).div_euclid(DAY));
        (first..=last)
            .find_map(|day| {
                let from = if day == first { from.rem_euclid(DAY) } else { 0 };
                let minute = self
                    .pattern
                    .is_on(date(day)?)
                    .then(|| self.pattern.first_from(from))??;
                Some(day * DAY + minute)
            })
            .filter(|found| *found < until)
    }

    /// The last civil minute of the pattern in `from..=to`.
    fn last_civil(&self, from: i64, to: i64) -> Option<i64> {
        let (first, last) = (from.div_euclid(DAY), to.div_euclid(DAY));
        (first..=last)
            .rev()
            .find_map(|day| {
                let to = if day == last { to.rem_euclid(DAY) } else { DAY - 1 };
                let minute = self
                    .pattern
                    .is_on(date(day)?)
                    .then(|| self.pattern.last_to(to))??;
                Some(day * DAY + minute)
            })
            .filter(|found| *found >= from)
    }

    /// The stretch that a minute of real time lies in. Changes of a name or a flag that leave the offset as it is are none.
    fn stretch(&self, at: i64) -> Option<Stretch> {
        let t = timestamp(at)?;
        let offset = self.zone.to_offset(t);
        // A change at this very instant is its beginning.
        let just_after = t.checked_add(SignedDuration::from_nanos(1)).ok()?;
        let changed = |from: Timestamp| {
            let before = from.checked_sub(SignedDuration::from_nanos(1)).ok()?;
            let leap = minutes(self.zone.to_offset(from)) - minutes(self.zone.to_offset(before));
            (leap != 0).then_some((from, leap))
        };
        let began = self
            .zone
            .preceding(just_after)
            .find_map(|c| changed(c.timestamp()));
        let ends = self.zone.following(t).find_map(|c| changed(c.timestamp()));
        Some(Stretch {
            from: began.map_or(i64::MIN / 2, |(t, _)| ceil(t)),
            until: ends.map_or(i64::MAX / 2, |(t, _)| ceil(t)),
            offset: minutes(offset),
            leap: began.map_or(0, |(_, leap)| leap),
        })
    }
}

/// The minute that a time lies in.
fn minute(t: Timestamp) -> i64 {
    t.as_second().div_euclid(60) - i64::from(t.as_second().rem_euclid(60) == 0 && t.subsec_nanosecond() < 0)
}

/// The first minute that begins at or after a time.
fn ceil(t: Timestamp) -> i64 {
    -(-t.as_second()).div_euclid(60)
}

/// An offset in whole minutes. Seconds, which zones had a century ago, are cut off: a wall clock shows the minute it is in.
fn minutes(offset: Offset) -> i64 {
    i64::from(offset.seconds()).div_euclid(60)
}

fn timestamp(minute: i64) -> Option<Timestamp> {
    Timestamp::from_second(minute.checked_mul(60)?).ok()
}

/// The civil date of a day since 1970-01-01.
fn date(day: i64) -> Option<Date> {
    Some(Offset::UTC.to_datetime(timestamp(day * DAY)?).date())
}

#[cfg(test)]
mod tests;
