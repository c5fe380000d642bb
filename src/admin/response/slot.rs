//! Pure: the response for a slot to come.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cron::slots::SlotRules;
use crate::cron::{Cron, OffsetEffect};

/// A slot to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Slot)]
#[serde(rename_all = "camelCase")]
pub struct SlotResponse {
    /// Time of the slot.
    pub at: Timestamp,
    /// The wall clock in the time zone of the pattern, for example `2026-03-29 03:00 CEST`.
    pub local: String,
    /// When its run starts: the slot plus its jitter. Absent in a preview, which has no jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// What a change of the zone's offset did to the slot. `Moved`: the wall clock skips its time. `Merged`: several times of
    /// the pattern are this one slot. `Repeated`: the wall clock was set back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_effect: Option<&'static str>,
}

impl SlotResponse {
    /// A slot of a pattern.
    pub fn of_pattern(cron: &Cron, slot: Timestamp) -> Self {
        let local = slot.to_zoned(cron.zone().clone());
        Self {
            at: slot,
            local: local.strftime("%Y-%m-%d %H:%M %Z").to_string(),
            starts_at: None,
            offset_effect: cron.explain(slot).map(|effect| match effect {
                OffsetEffect::Moved => "Moved",
                OffsetEffect::Merged(_) => "Merged",
                OffsetEffect::Repeated => "Repeated",
            }),
        }
    }

    /// A slot of a schedule.
    pub fn of_schedule(rules: &SlotRules<'_>, slot: Timestamp) -> Self {
        Self {
            starts_at: Some(rules.start_time(slot)),
            ..Self::of_pattern(rules.cron, slot)
        }
    }
}
