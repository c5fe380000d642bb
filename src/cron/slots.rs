//! Pure: which slots are due, and when to check again.
//!
//! `not_before` is the only memory: every slot up to it was handled, or does not belong to this schedule. It only moves forward,
//! so no slot starts twice, also if the clock or the schedule is changed.

use jiff::{SignedDuration, Timestamp};

use super::search::Cron;

/// How many slots the history of a schedule has.
pub const MAX_SLOTS: usize = 20;

/// How a schedule handles its slots.
#[derive(Clone, Copy, Debug)]
pub struct SlotRules<'a> {
    /// The cron pattern in its time zone.
    pub cron: &'a Cron,
    /// Uid of the schedule, which varies the jitter between schedules.
    pub uid: &'a str,
    /// Maximum delay of a slot in addition to its jitter. After it the slot is lost.
    pub starting_deadline: SignedDuration,
    /// Maximum jitter in seconds.
    pub jitter: u32,
}

/// The slots to handle now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSlots {
    /// The slot to start a run for.
    pub start: Option<Timestamp>,
    /// Slots that start no run any more and are not recorded yet: the newest 20, newest first, because there may be years of them.
    pub lost: Vec<Timestamp>,
    /// The next slot to start: one that is delayed by jitter, or else the first future slot.
    pub next: Option<Timestamp>,
    /// When the next slot starts, jitter included.
    pub requeue_at: Option<Timestamp>,
}

/// The slots that are due at `now`.
pub fn due_slots(rules: &SlotRules<'_>, not_before: Timestamp, now: Timestamp) -> DueSlots {
    let newest = |until: Timestamp| rules.cron.newest_until(until).filter(|slot| *slot > not_before);
    let with_start = |slot, next| (slot, rules.start_before(slot, next));
    let future = rules.cron.next_after(now.max(not_before));
    let newest_slot = newest(now).map(|slot| with_start(slot, future));
    // At most one slot is delayed, because its jitter ends before the next slot.
    let delayed = newest_slot.filter(|(_, start_time)| *start_time > now);
    let reached = match delayed {
        Some((delayed, _)) => newest(just_before(delayed)).map(|slot| with_start(slot, Some(delayed))),
        None => newest_slot,
    };
    let in_time =
        reached.filter(|(_, start_time)| now.duration_since(*start_time) <= rules.starting_deadline);
    let start = in_time.map(|(slot, _)| slot);
    let lost_until = start.map(just_before).or(reached.map(|(slot, _)| slot));
    let lost = lost_until.map(|until| slots_between(rules.cron, not_before, until));
    let next = delayed.or_else(|| future.map(|slot| (slot, rules.start_time(slot))));
    DueSlots {
        start,
        lost: lost.unwrap_or_default(),
        next: next.map(|(slot, _)| slot),
        requeue_at: next.map(|(_, start_time)| start_time),
    }
}

/// The next slot to start, as in `DueSlots`.
pub fn next_slot(rules: &SlotRules<'_>, not_before: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let future = rules.cron.next_after(now.max(not_before));
    if rules.jitter == 0 {
        return future;
    }
    let newest = rules.cron.newest_until(now).filter(|slot| *slot > not_before);
    let delayed = newest.filter(|slot| rules.start_before(*slot, future) > now);
    delayed.or(future)
}

/// The slots in `after < slot <= until`: the newest 20, newest first. The cost does not depend on the length of the interval.
pub fn slots_between(cron: &Cron, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let older = |slot: &Timestamp| cron.newest_until(just_before(*slot));
    std::iter::successors(cron.newest_until(until), older)
        .take_while(|slot| *slot > after)
        .take(MAX_SLOTS)
        .collect()
}

impl<'a> SlotRules<'a> {
    /// The rules of a schedule with this uid. Deadline and jitter are in seconds; a negative number is 0.
    pub fn new(cron: &'a Cron, uid: &'a str, starting_deadline: i32, jitter: i32) -> Self {
        Self {
            cron,
            uid,
            starting_deadline: SignedDuration::from_secs(i64::from(starting_deadline.max(0))),
            jitter: u32::try_from(jitter).unwrap_or_default(),
        }
    }

    /// When the run of a slot starts: the slot plus its jitter. The jitter is a function of uid and slot, and ends before the
    /// next slot.
    pub fn start_time(&self, slot: Timestamp) -> Timestamp {
        let next = || self.cron.next_after(slot);
        self.start_before(slot, (self.jitter > 0).then(next).flatten())
    }

    /// When the run of a slot starts that is followed by `next`.
    fn start_before(&self, slot: Timestamp, next: Option<Timestamp>) -> Timestamp {
        if self.jitter == 0 {
            return slot;
        }
        let gap = next.map(|next| next.duration_since(slot).as_secs());
        let limit = gap
            .and_then(|gap| u64::try_from(gap - 1).ok())
            .unwrap_or(u64::MAX);
        let limit = limit.min(u64::from(self.jitter));
        let delay = stable_hash(self.uid.bytes().chain(slot.as_second().to_be_bytes())) % (limit + 1);
        let delay = SignedDuration::from_secs(i64::try_from(delay).unwrap_or_default());
        slot.checked_add(delay).unwrap_or(slot)
    }

    /// Until when the run of a slot can start; `None` if that is beyond the last representable time.
    pub fn deadline(&self, slot: Timestamp) -> Option<Timestamp> {
        self.start_time(slot).checked_add(self.starting_deadline).ok()
    }
}

fn just_before(slot: Timestamp) -> Timestamp {
    slot.checked_sub(SignedDuration::from_secs(1)).unwrap_or(slot)
}

/// A hash that is the same in every process and version (FNV-1a with the finalizer of `MurmurHash3`).
pub fn stable_hash(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests;
