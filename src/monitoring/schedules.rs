//! The series of the schedules.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::values::{flag, names, seconds};
use crate::api::schedule::TaranaSyncSchedule;
use crate::cron::Cron;
use crate::metrics::names::{SCHEDULE_FAILURES, SCHEDULE_INTERVAL, SCHEDULE_NEXT_SLOT, SCHEDULE_SUSPENDED};
use crate::metrics::{Sample, SeriesWriter};

/// How long the interval of a pattern is kept: it changes only with the seasons and where days are left out.
const INTERVAL_TTL: SignedDuration = SignedDuration::from_hours(1);
/// The slots of this time are compared, but not more than [`MAX_SLOTS`].
const HORIZON: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Enough for a slot every hour of the week.
const MAX_SLOTS: usize = 200;

/// Pattern and time zone.
type PatternInZone = (String, String);

/// Computes the series of the schedules.
#[derive(Debug, Default)]
pub(super) struct ScheduleSeries {
    /// The interval of each pattern in use, and when it was computed.
    intervals: Mutex<HashMap<PatternInZone, (Timestamp, Option<SignedDuration>)>>,
}

impl ScheduleSeries {
    pub fn write(
        &self,
        writer: &mut SeriesWriter<'_>,
        schedules: &[Arc<TaranaSyncSchedule>],
        now: Timestamp,
    ) -> fmt::Result {
        let intervals = self.intervals(schedules, now);
        let write = |writer: &mut SeriesWriter<'_>, metric, value: &dyn Fn(usize) -> Option<f64>| {
            let schedules = schedules.iter().enumerate();
            let samples = schedules.filter_map(|(at, schedule)| -> Option<Sample<'_>> {
                let [namespace, name] = names(schedule.as_ref());
                let connection = schedule.spec.template.spec.connection_ref.name.as_str();
                Some((vec![namespace, name, connection], value(at)?))
            });
            writer.write(metric, samples)
        };
        let suspended = |at: usize| schedules[at].spec.suspend;
        let status = |at: usize| schedules[at].status.as_ref();
        write(writer, &SCHEDULE_INTERVAL, &|at| {
            intervals[at].filter(|_| !suspended(at))
        })?;
        write(writer, &SCHEDULE_NEXT_SLOT, &|at| {
            let next = status(at)?.next_schedule_time.as_ref()?;
            (!suspended(at)).then(|| seconds(next.0))
        })?;
        write(writer, &SCHEDULE_SUSPENDED, &|at| Some(flag(suspended(at))))?;
        write(writer, &SCHEDULE_FAILURES, &|at| {
            Some(f64::from(status(at)?.consecutive_failures))
        })
    }

    /// The interval of each schedule in seconds.
    fn intervals(&self, schedules: &[Arc<TaranaSyncSchedule>], now: Timestamp) -> Vec<Option<f64>> {
        // No code panics while it changes the map, so a poisoned lock still guards a consistent one.
        let mut known = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (computed, _)| now.duration_since(*computed) < INTERVAL_TTL);
        let interval = |schedule: &Arc<TaranaSyncSchedule>| {
            let pattern = (schedule.spec.schedule.clone(), schedule.spec.time_zone.clone());
            let (_, interval) = *known
                .entry(pattern)
                .or_insert_with_key(|(pattern, zone)| (now, longest_interval(pattern, zone, now)));
            interval.map(|interval| interval.as_secs_f64())
        };
        schedules.iter().map(interval).collect()
    }
}

/// The longest time between successive slots from the last one until a week from now; between two of them if they are further apart.
fn longest_interval(pattern: &str, zone: &str, now: Timestamp) -> Option<SignedDuration> {
    let cron = Cron::parse(pattern, zone).ok()?;
    let horizon = now.checked_add(HORIZON).ok()?;
    let first = cron.newest_until(now).or_else(|| cron.next_after(now));
    let slots = std::iter::successors(first, |slot| cron.next_after(*slot));
    let slots: Vec<_> = slots
        .take(MAX_SLOTS)
        .scan(0, |taken, slot| {
            *taken += 1;
            (*taken <= 2 || slot <= horizon).then_some(slot)
        })
        .collect();
    slots.windows(2).map(|pair| pair[1].duration_since(pair[0])).max()
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, longest_interval};

    #[test]
    fn the_interval_is_the_longest_of_the_week() {
        let hours = |pattern: &str, zone: &str| {
            // A Friday evening.
            let now: Timestamp = "2026-11-27T17:30:00Z".parse().unwrap();
            longest_interval(pattern, zone, now).map(|interval| interval.as_hours())
        };
        for (pattern, expected) in [
            ("0 0 * * *", Some(24)),
            ("0 * * * *", Some(1)),
            ("* * * * *", Some(0)),
            // From Friday to Monday.
            ("0 6 * * 1-5", Some(72)),
            // From the evening to the morning.
            ("0 8-17 * * *", Some(15)),
            ("0 0 1 1 *", Some(365 * 24)),
            ("0 0 30 2 *", None),
            ("nonsense", None),
        ] {
            assert_eq!(hours(pattern, "Etc/UTC"), expected, "{pattern}");
        }
        assert_eq!(hours("0 0 * * *", "Nowhere/Atall"), None);
    }
}
