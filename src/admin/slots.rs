//! Pure: the next slots of a schedule, for the API and the pages.

use jiff::Timestamp;

use super::response::slot::SlotResponse;
use crate::api::schedule::TaranaSyncSchedule;
use crate::cron::Cron;
use crate::cron::slots::{SlotRules, next_slot};

/// The next slots to start, the first of which may be delayed by jitter.
pub fn next_slots(
    schedule: &TaranaSyncSchedule,
    cron: &Cron,
    now: Timestamp,
    count: usize,
) -> Vec<SlotResponse> {
    let (spec, uid) = (
        &schedule.spec,
        schedule.metadata.uid.as_deref().unwrap_or_default(),
    );
    let rules = SlotRules::new(cron, uid, spec.starting_deadline_seconds, spec.jitter_seconds);
    let status = schedule.status.as_ref();
    let not_before = status.and_then(|status| status.not_before.as_ref());
    let not_before = not_before.map_or(Timestamp::MIN, |time| time.0);
    let slots = std::iter::successors(next_slot(&rules, not_before, now), |slot| cron.next_after(*slot));
    slots
        .take(count)
        .map(|slot| SlotResponse::of_schedule(&rules, slot))
        .collect()
}
