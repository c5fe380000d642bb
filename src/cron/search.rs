//! Pure: the slots of a pattern in a time zone: the next slot after a time, and the newest slot up to a time.
//!
//! A slot is a whole minute of real time. Changes of a zone's offset, for daylight saving or otherwise, follow Debian's cron. A
//! pattern is *fixed* unless its minute or its hour starts with `*`.
//!
//! | the wall clock | fixed | wildcard |
//! |---|---|---|
//! | jumps forward | one slot at the first instant after the jump, for all skipped times | no slot for skipped times |
//! | is set back | repeated times have a slot only the first time | repeated times have a slot each time |
//! | either, by more than three hours | the wall clock counts, as for a wildcard | the same |
//!
//! The search visits one span of equal offset after the other, and within a span one civil day after the other. Its cost is
//! bounded: it ends after 41 years, which is longer than the largest gap between two slots of any pattern.
//! Time zones come from the database that jiff embeds, not from the machine.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::pattern::{DAY, InvalidCron, Pattern, excerpt};

/// 41 years, in minutes. `0 0 29 2 */7` has slots in 2088 and then in 2128.
const HORIZON: i64 = 41 * 366 * DAY;
/// In minutes. A larger jump is the correction of a wrong clock.
const MAX_JUMP: i64 = 3 * 60;

/// Names that stand for an unknown time zone.
const PLACEHOLDER_ZONES: [&str; 2] = ["Etc/Unknown", "Factory"];

/// A pattern in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    pattern: Pattern,
    zone: TimeZone,
}

/// What a change of a zone's offset did to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetEffect {
    /// The wall clock skips the time of the pattern; the slot is at the first instant after the jump.
    Moved,
    /// So many times of the pattern are this one slot.
    Merged(usize),
    /// The wall clock was set back and shows the time of this slot again.
    Repeated,
}

/// A span of real time, in minutes, with one offset between civil and real time.
struct OffsetSpan {
    from: i64,
    until: i64,
    offset: i64,
    /// Jump of the wall clock at the start of the span; negative if it was set back.
    jump: i64,
}

impl Cron {
    /// Parses a pattern and looks up its time zone.
    ///
    /// # Errors
    /// The message names the invalid field of the pattern and what to write, or reports an unknown time zone.
    pub fn parse(schedule: &str, time_zone: &str) -> Result<Self, InvalidCron> {
        let pattern = Pattern::parse(schedule)?;
        Ok(Self {
            pattern,
            zone: find_zone(time_zone)?,
        })
    }

    /// The pattern.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first slot after `t`; `None` if there is none within 41 years, which means none at all.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        if !self.pattern.has_days() {
            return None;
        }
        let from = minute(t) + 1;
        let mut at = from;
        while at < from + HORIZON {
            let span = self.span(at)?;
            if let Some(slot) = self.first(&span, from) {
                return timestamp(slot);
            }
            at = span.until;
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
            let span = self.span(at)?;
            if let Some(slot) = self.last(&span, until) {
                return timestamp(slot);
            }
            at = span.from - 1;
        }
        None
    }

    /// What a change of the offset did to a slot; `None` for most slots.
    pub fn explain(&self, slot: Timestamp) -> Option<OffsetEffect> {
        let (at, span) = (minute(slot), self.span(minute(slot))?);
        let civil = at + span.offset;
        if at == span.from && self.is_caught_up(&span) {
            let from = civil - span.jump;
            let skipped = std::iter::successors(self.first_civil(from, civil), |minute| {
                self.first_civil(minute + 1, civil)
            });
            let is_slot_itself = self.first_civil(civil, civil + 1).is_some();
            return match (skipped.count(), is_slot_itself) {
                (1, false) => Some(OffsetEffect::Moved),
                (skipped, is_slot_itself) => {
                    Some(OffsetEffect::Merged(skipped + usize::from(is_slot_itself)))
                }
            };
        }
        let is_second_pass = span.jump < 0 && at < span.from.saturating_sub(span.jump);
        is_second_pass.then_some(OffsetEffect::Repeated)
    }

    /// The first slot of a span that is not before `from`.
    fn first(&self, span: &OffsetSpan, from: i64) -> Option<i64> {
        if from <= span.from && self.is_caught_up(span) {
            return Some(span.from);
        }
        let from = self.begin(span).max(from);
        let until = span.until.min(from.saturating_add(HORIZON));
        self.first_civil(from + span.offset, until.saturating_add(span.offset))
            .map(|civil| civil - span.offset)
    }

    /// The last slot of a span that is not after `until`.
    fn last(&self, span: &OffsetSpan, until: i64) -> Option<i64> {
        let (begin, end) = (self.begin(span), until.min(span.until - 1));
        let begin = begin.max(end.saturating_sub(HORIZON));
        let found = self.last_civil(begin.saturating_add(span.offset), end + span.offset);
        found
            .map(|civil| civil - span.offset)
            .or_else(|| (span.from <= until && self.is_caught_up(span)).then_some(span.from))
    }

    /// Whether the span starts with a slot for times that the wall clock skipped.
    fn is_caught_up(&self, span: &OffsetSpan) -> bool {
        let civil = span.from.saturating_add(span.offset);
        self.pattern.fixed
            && (1..=MAX_JUMP).contains(&span.jump)
            && self.first_civil(civil - span.jump, civil).is_some()
    }

    /// The first minute of the span that may have a slot. It leaves out the times that repeat because the clock was set back.
    fn begin(&self, span: &OffsetSpan) -> i64 {
        if self.pattern.fixed && (-MAX_JUMP..0).contains(&span.jump) {
            span.from - span.jump
        } else {
            span.from
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

    /// The span that contains a minute of real time. A transition that does not change the offset does not end a span.
    fn span(&self, at: i64) -> Option<OffsetSpan> {
        let t = timestamp(at)?;
        let offset = self.zone.to_offset(t);
        // A change at this instant starts the span.
        let just_after = t.checked_add(SignedDuration::from_nanos(1)).ok()?;
        let changed = |from: Timestamp| {
            let before = from.checked_sub(SignedDuration::from_nanos(1)).ok()?;
            let jump = minutes(self.zone.to_offset(from)) - minutes(self.zone.to_offset(before));
            (jump != 0).then_some((from, jump))
        };
        let began = self
            .zone
            .preceding(just_after)
            .find_map(|c| changed(c.timestamp()));
        let ends = self.zone.following(t).find_map(|c| changed(c.timestamp()));
        Some(OffsetSpan {
            from: began.map_or(i64::MIN / 2, |(t, _)| ceil(t)),
            until: ends.map_or(i64::MAX / 2, |(t, _)| ceil(t)),
            offset: minutes(offset),
            jump: began.map_or(0, |(_, jump)| jump),
        })
    }
}

/// Looks up a time zone by its name in the IANA database.
fn find_zone(name: &str) -> Result<TimeZone, InvalidCron> {
    // jiff knows these names, but they stand for an unknown time zone.
    let is_placeholder = PLACEHOLDER_ZONES
        .iter()
        .any(|zone| zone.eq_ignore_ascii_case(name));
    let zone = (!is_placeholder).then(|| TimeZoneDatabase::bundled().get(name));
    zone.and_then(Result::ok).ok_or_else(|| {
        InvalidCron(format!(
            "the time zone `{}` is not known: write a name of the IANA database such as Africa/Johannesburg or Etc/UTC",
            excerpt(name)
        ))
    })
}

/// The minute that contains a time.
fn minute(t: Timestamp) -> i64 {
    t.as_second().div_euclid(60) - i64::from(t.as_second().rem_euclid(60) == 0 && t.subsec_nanosecond() < 0)
}

/// The first minute that starts at or after a time.
fn ceil(t: Timestamp) -> i64 {
    -(-t.as_second()).div_euclid(60)
}

/// An offset in whole minutes. Historical offsets with seconds are rounded down, because a wall clock shows the current minute.
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
