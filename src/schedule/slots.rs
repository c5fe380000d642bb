//! Pure: which slots are due, and when to check again.
//!
//! `not_before` is the only memory: every slot up to it was handled, or does not belong to this schedule. It only moves forward,
//! so no slot starts twice, also if the clock or the schedule is changed.

use jiff::{SignedDuration, Timestamp};

use super::cron::Cron;

/// How a schedule handles its slots.
#[derive(Clone, Copy, Debug)]
pub struct SlotRules<'a> {
    /// The cron pattern in its time zone.
    pub cron: &'a Cron,
    /// Uid of the schedule, which varies the jitter between schedules.
    pub uid: &'a str,
    /// Maximum delay of a slot, after which it is missed.
    pub starting_deadline: SignedDuration,
    /// Maximum jitter in seconds.
    pub jitter: u32,
}

/// The slots to handle now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSlots {
    /// The slot to start a run for.
    pub start: Option<Timestamp>,
    /// The newest slot that was not started in time. Older missed slots are not counted, because there may be years of them.
    pub missed: Option<Timestamp>,
    /// The next slot to start: one that is delayed by jitter, or else the first future slot.
    pub next: Option<Timestamp>,
    /// When the next slot starts, jitter included.
    pub requeue_at: Option<Timestamp>,
}

/// The slots that are due at `now`.
pub fn due_slots(rules: &SlotRules<'_>, not_before: Timestamp, now: Timestamp) -> DueSlots {
    let newest = |until: Timestamp| rules.cron.newest_until(until).filter(|slot| *slot > not_before);
    let newest_slot = newest(now);
    // At most one slot is delayed, because its jitter ends before the next slot.
    let delayed = newest_slot.filter(|slot| rules.start_time(*slot) > now);
    let reached = match delayed {
        Some(slot) => newest(just_before(slot)),
        None => newest_slot,
    };
    let is_in_time = |slot: &Timestamp| now.duration_since(*slot) <= rules.starting_deadline;
    let start = reached.filter(is_in_time);
    let missed = match start {
        Some(slot) => newest(just_before(slot)),
        None => reached,
    };
    let next = delayed.or_else(|| rules.cron.next_after(now.max(not_before)));
    DueSlots {
        start,
        missed,
        next,
        requeue_at: next.map(|slot| rules.start_time(slot)),
    }
}

impl SlotRules<'_> {
    /// When the run of a slot starts: the slot plus its jitter. The jitter is a function of uid and slot, and ends before the
    /// next slot.
    pub fn start_time(&self, slot: Timestamp) -> Timestamp {
        if self.jitter == 0 {
            return slot;
        }
        let gap = self
            .cron
            .next_after(slot)
            .map(|next| next.duration_since(slot).as_secs());
        let limit = gap
            .and_then(|gap| u64::try_from(gap - 1).ok())
            .unwrap_or(u64::MAX);
        let limit = limit.min(u64::from(self.jitter));
        let delay = stable_hash(self.uid.bytes().chain(slot.as_second().to_be_bytes())) % (limit + 1);
        let delay = SignedDuration::from_secs(i64::try_from(delay).unwrap_or_default());
        slot.checked_add(delay).unwrap_or(slot)
    }
}

fn just_before(slot: Timestamp) -> Timestamp {
    slot.checked_sub(SignedDuration::from_secs(1)).unwrap_or(slot)
}

/// A hash that is the same in every process and version (FNV-1a with the finalizer of `MurmurHash3`).
pub(super) fn stable_hash(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests;
