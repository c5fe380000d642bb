//! Pure: the output of `tarana-operator preview`: the next slots, as the controller computes them.

use jiff::Timestamp;

use super::search::{Cron, OffsetEffect};

/// Selects the slots to print.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The pattern in its time zone.
    pub cron: Cron,
    /// Print slots after this time.
    pub after: Timestamp,
    /// Maximum number of slots. Default: all, which can be millions.
    pub count: Option<usize>,
    /// Print no slots after this time.
    pub until: Option<Timestamp>,
}

impl Preview {
    /// The slots.
    pub fn slots(&self) -> impl Iterator<Item = Timestamp> {
        let slots = std::iter::successors(self.cron.next_after(self.after), move |slot| {
            self.cron.next_after(*slot)
        });
        let is_in_range = move |slot: &Timestamp| self.until.is_none_or(|until| *slot <= until);
        slots
            .take(self.count.unwrap_or(usize::MAX))
            .take_while(is_in_range)
    }

    /// One line per slot, in UTC and optionally in local time; `never` if the pattern has no slots.
    pub fn lines(&self, with_local_time: bool) -> impl Iterator<Item = String> {
        let is_never_due = self.cron.next_after(self.after).is_none();
        let line = move |slot| {
            if with_local_time {
                self.explained(slot)
            } else {
                slot.to_string()
            }
        };
        is_never_due
            .then(|| "never".to_owned())
            .into_iter()
            .chain(self.slots().map(line))
    }

    /// A slot in UTC and in local time, with a mark if a change of the offset affected it.
    fn explained(&self, slot: Timestamp) -> String {
        let local = slot.to_zoned(self.cron.zone().clone());
        let line = format!("{slot}  {}", local.strftime("%a %Y-%m-%d %H:%M %Z"));
        match self.cron.explain(slot) {
            None => line,
            Some(OffsetEffect::Moved) => format!("{line}  moved: the clock skips its time"),
            Some(OffsetEffect::Merged(times)) => {
                format!("{line}  merged: {times} times, because the clock is set forward")
            }
            Some(OffsetEffect::Repeated) => format!("{line}  repeated: the clock was set back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(pattern: &str, until: Option<&str>) -> Preview {
        Preview {
            cron: Cron::parse(pattern, "Africa/Johannesburg").unwrap(),
            after: "2026-03-01T00:00:00Z".parse().unwrap(),
            count: Some(3),
            until: until.map(|t| t.parse().unwrap()),
        }
    }

    fn lines(preview: &Preview, with_local_time: bool) -> Vec<String> {
        preview.lines(with_local_time).collect()
    }

    #[test]
    fn prints_one_line_per_slot() {
        let midnight = preview("0 0 * * *", None);
        let utc = [
            "2026-03-01T22:00:00Z",
            "2026-03-02T22:00:00Z",
            "2026-03-03T22:00:00Z",
        ];
        assert_eq!(lines(&midnight, false), utc);
        assert_eq!(
            lines(&midnight, true)[0],
            "2026-03-01T22:00:00Z  Mon 2026-03-02 00:00 SAST"
        );
        assert_eq!(lines(&preview("0 0 * * *", Some(utc[1])), false), utc[..2]);
        assert!(lines(&preview("0 0 * * *", Some("2026-03-01T21:59:59Z")), false).is_empty());
        assert_eq!(lines(&preview("0 0 31 11 *", None), true), ["never"]);
        let all = Preview {
            count: None,
            ..preview("0 0 * * *", Some("2026-03-31T22:00:00Z"))
        };
        assert_eq!(lines(&all, false).len(), 31);
    }

    #[test]
    fn slots_that_a_change_of_the_offset_affected_are_marked() {
        const SPRING: &str = "2026-03-28T22:00:00Z";
        const AUTUMN: &str = "2026-10-24T22:00:00Z";
        let local = |pattern: &str, after: &str| {
            let preview = Preview {
                cron: Cron::parse(pattern, "Europe/Berlin").unwrap(),
                after: after.parse().unwrap(),
                count: None,
                until: Some(after.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(7)),
            };
            let lines = preview.lines(true);
            // Without UTC and date.
            let lines = lines.map(|line| line.split_once("  ").unwrap().1[15..].to_owned());
            lines.collect::<Vec<_>>()
        };
        for (pattern, after, expected) in [
            (
                "30 2 * * *",
                SPRING,
                &["03:00 CEST  moved: the clock skips its time"][..],
            ),
            (
                "0,30 2 * * *",
                SPRING,
                &["03:00 CEST  merged: 2 times, because the clock is set forward"],
            ),
            (
                "30 2,3 * * *",
                SPRING,
                &["03:00 CEST  moved: the clock skips its time", "03:30 CEST"],
            ),
            (
                "0 2,3 * * *",
                SPRING,
                &["03:00 CEST  merged: 2 times, because the clock is set forward"],
            ),
            ("0 1,3 * * *", SPRING, &["01:00 CET", "03:00 CEST"]),
            ("0 */2 * * *", SPRING, &["00:00 CET", "04:00 CEST", "06:00 CEST"]),
            ("30 2 * * *", AUTUMN, &["02:30 CEST"]),
            ("0 2-3 * * *", AUTUMN, &["02:00 CEST", "03:00 CET"]),
            (
                "*/30 2 * * *",
                AUTUMN,
                &[
                    "02:00 CEST",
                    "02:30 CEST",
                    "02:00 CET  repeated: the clock was set back",
                    "02:30 CET  repeated: the clock was set back",
                ],
            ),
        ] {
            assert_eq!(local(pattern, after), expected, "{pattern} after {after}");
        }
    }
}
