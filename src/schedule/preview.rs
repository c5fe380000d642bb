//! Pure: the output of `tarana-operator preview`: the next slots, as the controller computes them.

use jiff::Timestamp;

use super::cron::Cron;

/// Selects the slots to print.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The pattern in its time zone.
    pub cron: Cron,
    /// Print slots after this time.
    pub after: Timestamp,
    /// Maximum number of slots.
    pub count: usize,
    /// Print no slots after this time.
    pub until: Option<Timestamp>,
}

impl Preview {
    /// The slots.
    pub fn slots(&self) -> Vec<Timestamp> {
        let slots = std::iter::successors(self.cron.next_after(self.after), |slot| {
            self.cron.next_after(*slot)
        });
        let is_in_range = |slot: &Timestamp| self.until.is_none_or(|until| *slot <= until);
        slots.take(self.count).take_while(is_in_range).collect()
    }

    /// One line per slot, in UTC and optionally in local time; `never` if the pattern has no slots.
    pub fn lines(&self, with_local_time: bool) -> Vec<String> {
        if self.cron.next_after(self.after).is_none() {
            return vec!["never".to_owned()];
        }
        let line = |slot: Timestamp| {
            if with_local_time {
                format!(
                    "{slot}  {}",
                    slot.to_zoned(self.cron.zone().clone())
                        .strftime("%a %Y-%m-%d %H:%M %Z")
                )
            } else {
                slot.to_string()
            }
        };
        self.slots().into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(pattern: &str, until: Option<&str>) -> Preview {
        Preview {
            cron: Cron::parse(pattern, "Africa/Johannesburg").unwrap(),
            after: "2026-03-01T00:00:00Z".parse().unwrap(),
            count: 3,
            until: until.map(|t| t.parse().unwrap()),
        }
    }

    #[test]
    fn prints_one_line_per_slot() {
        let midnight = preview("0 0 * * *", None);
        let utc = [
            "2026-03-01T22:00:00Z",
            "2026-03-02T22:00:00Z",
            "2026-03-03T22:00:00Z",
        ];
        assert_eq!(midnight.lines(false), utc);
        assert_eq!(
            midnight.lines(true)[0],
            "2026-03-01T22:00:00Z  Mon 2026-03-02 00:00 SAST"
        );
        assert_eq!(preview("0 0 * * *", Some(utc[1])).lines(false), utc[..2]);
        assert!(
            preview("0 0 * * *", Some("2026-03-01T21:59:59Z"))
                .lines(false)
                .is_empty()
        );
        assert_eq!(preview("0 0 31 11 *", None).lines(true), ["never"]);
    }
}
