//! Pure: what `tarana-operator preview` prints: the next slots, by the walk that the controller takes.

use jiff::Timestamp;

use super::cron::Cron;

/// What to tell.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The pattern in its zone.
    pub cron: Cron,
    /// Slots after this.
    pub after: Timestamp,
    /// At most so many.
    pub count: usize,
    /// None later than this.
    pub until: Option<Timestamp>,
}

impl Preview {
    /// The slots.
    pub fn slots(&self) -> Vec<Timestamp> {
        let slots = std::iter::successors(self.cron.next_after(self.after), |slot| {
            self.cron.next_after(*slot)
        });
        let in_time = |slot: &Timestamp| self.until.is_none_or(|until| *slot <= until);
        slots.take(self.count).take_while(in_time).collect()
    }

    /// One slot a line, in UTC; `never` for a pattern without any. For a person the local time stands beside it.
    pub fn lines(&self, local_too: bool) -> Vec<String> {
        if self.cron.next_after(self.after).is_none() {
            return vec!["never".to_owned()];
        }
        let line = |slot: Timestamp| {
            if local_too {
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
    fn slots_a_line_each() {
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
