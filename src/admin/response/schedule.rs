//! Pure: the response for a schedule.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::sync::SyncPhase;
use super::{ConditionResponse, conditions, time};
use crate::admin::objects::object_id;
use crate::api::schedule::{ConcurrencyPolicy, SlotRecord, TaranaSyncSchedule};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Schedule)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleResponse {
    /// Uid of the object.
    pub id: Uuid,
    pub namespace: String,
    pub name: String,
    /// Cron pattern: minute, hour, day of month, month, day of week.
    #[serde(rename = "schedule")]
    pub pattern: String,
    /// IANA time zone of the pattern.
    pub time_zone: String,
    /// Whether slots start no runs.
    pub suspend: bool,
    /// Why it is suspended; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_reason: Option<String>,
    /// Forbid or Replace.
    concurrency_policy: &'static str,
    /// Name of the connection of its runs.
    connection: String,
    /// The next slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_schedule_at: Option<Timestamp>,
    /// The newest slot that started a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_schedule_at: Option<Timestamp>,
    /// When a run of this schedule last completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<LastSyncResponse>,
    /// Names of the active runs.
    active: Vec<String>,
    /// Number of runs that failed since a run last completed.
    pub consecutive_failures: i32,
    /// What happened to the newest slots, newest first, at most 20.
    pub recent_slots: Vec<SlotRecordResponse>,
    pub conditions: Vec<ConditionResponse>,
}

/// The run that ended last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LastSync)]
#[serde(rename_all = "camelCase")]
pub struct LastSyncResponse {
    pub name: String,
    phase: SyncPhase,
    pub reason: String,
    completed_at: Timestamp,
}

/// What happened to a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SlotRecord)]
pub struct SlotRecordResponse {
    /// Time of the slot.
    pub at: Timestamp,
    /// Ran, Skipped or Missed.
    pub outcome: &'static str,
    /// Reason in CamelCase.
    pub reason: String,
    /// The run of the slot, or the one that prevented it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
}

impl From<SlotRecord> for SlotRecordResponse {
    fn from(record: SlotRecord) -> Self {
        Self {
            at: record.time.0,
            outcome: record.outcome.as_str(),
            reason: record.reason,
            sync: record.sync,
        }
    }
}

impl From<&TaranaSyncSchedule> for ScheduleResponse {
    fn from(schedule: &TaranaSyncSchedule) -> Self {
        let (spec, status) = (&schedule.spec, schedule.status.clone().unwrap_or_default());
        Self {
            id: object_id(schedule),
            namespace: schedule.namespace().unwrap_or_default(),
            name: schedule.name_any(),
            pattern: spec.schedule.clone(),
            time_zone: spec.time_zone.clone(),
            suspend: spec.suspend,
            suspend_reason: spec.suspend_reason.clone().filter(|_| spec.suspend),
            concurrency_policy: match spec.concurrency_policy {
                ConcurrencyPolicy::Forbid => "Forbid",
                ConcurrencyPolicy::Replace => "Replace",
            },
            connection: spec.template.spec.connection_ref.name.clone(),
            next_schedule_at: time(status.next_schedule_time.as_ref()),
            last_schedule_at: time(status.last_schedule_time.as_ref()),
            last_successful_at: time(status.last_successful_time.as_ref()),
            last_sync: status.last_sync.map(|last| LastSyncResponse {
                name: last.name,
                phase: last.phase.into(),
                reason: last.reason,
                completed_at: last.completion_time.0,
            }),
            active: status.active,
            consecutive_failures: status.consecutive_failures,
            recent_slots: status.recent_slots.into_iter().map(Into::into).collect(),
            conditions: conditions(&status.conditions),
        }
    }
}
