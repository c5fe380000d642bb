//! Pure: which slot is to be dealt with now, and when to look again.
//!
//! `not_before` is the one memory: every slot up to it was dealt with, or is none of this schedule's. It only moves
//! forward, so no slot comes twice, whatever the clock does and whoever edits.

use jiff::{SignedDuration, Timestamp};

use super::cron::Cron;

/// How a schedule wants its slots dealt with.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// When they are.
    pub cron: &'a Cron,
    /// Which schedule it is: tells its delays from those of others.
    pub uid: &'a str,
    /// Most that a slot may be late.
    pub starting_deadline: SignedDuration,
    /// Most seconds that a slot is delayed on purpose.
    pub jitter: u32,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The slot to start a run for.
    pub start: Option<Timestamp>,
    /// The newest of the slots that were not started in time. There may be older ones: nobody counts years of them.
    pub missed: Option<Timestamp>,
    /// The first slot that is still to come.
    pub next: Option<Timestamp>,
    /// When there is something to do again.
    pub again: Option<Timestamp>,
}

/// Looks at the clock.
pub fn due(rules: &Rules<'_>, not_before: Timestamp, now: Timestamp) -> Due {
    let newest = |until: Timestamp| rules.cron.newest_until(until).filter(|slot| *slot > not_before);
    let shown = newest(now);
    // At most one slot is held back, for a delay ends before the next slot comes.
    let held_back = shown.filter(|slot| rules.begins(*slot) > now);
    let reached = match held_back {
        Some(slot) => newest(earlier(slot)),
        None => shown,
    };
    let in_time = |slot: &Timestamp| now.duration_since(*slot) <= rules.starting_deadline;
    let start = reached.filter(in_time);
    let missed = match start {
        Some(slot) => newest(earlier(slot)),
        None => reached,
    };
    let next = held_back.or_else(|| rules.cron.next_after(now.max(not_before)));
    Due {
        start,
        missed,
        next,
        again: next.map(|slot| rules.begins(slot)),
    }
}

impl Rules<'_> {
    /// When the run of a slot begins: as much later as uid and slot decide, and before the next slot.
    pub fn begins(&self, slot: Timestamp) -> Timestamp {
        if self.jitter == 0 {
            return slot;
        }
        let gap = self
            .cron
            .next_after(slot)
            .map(|next| next.duration_since(slot).as_secs());
        let most = gap
            .and_then(|gap| u64::try_from(gap - 1).ok())
            .unwrap_or(u64::MAX);
        let most = most.min(u64::from(self.jitter));
        let delay = scatter(self.uid.bytes().chain(slot.as_second().to_be_bytes())) % (most + 1);
        let delay = SignedDuration::from_secs(i64::try_from(delay).unwrap_or_default());
        slot.checked_add(delay).unwrap_or(slot)
    }
}

fn earlier(slot: Timestamp) -> Timestamp {
    slot.checked_sub(SignedDuration::from_secs(1)).unwrap_or(slot)
}

/// A number that looks like chance and is the same in every process and version (FNV-1a, then mixed as `MurmurHash3` ends).
pub(super) fn scatter(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests;
