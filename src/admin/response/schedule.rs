//! Pure: the response for a schedule.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use utoipa::ToSchema;

use super::sync::SyncPhase;
use super::{ConditionResponse, conditions, time};
use crate::api::schedule::{ConcurrencyPolicy, TaranaSyncSchedule};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Schedule)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleResponse {
    namespace: String,
    name: String,
    /// Cron pattern: minute, hour, day of month, month, day of week.
    #[serde(rename = "schedule")]
    pattern: String,
    /// IANA time zone of the pattern.
    time_zone: String,
    /// Whether slots start no runs.
    suspend: bool,
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
    consecutive_failures: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_skipped: Option<SkippedSlotResponse>,
    conditions: Vec<ConditionResponse>,
}

/// The run that ended last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LastSync)]
#[serde(rename_all = "camelCase")]
pub struct LastSyncResponse {
    name: String,
    phase: SyncPhase,
    reason: String,
    completed_at: Timestamp,
}

/// The newest slot that started no run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Skipped)]
pub struct SkippedSlotResponse {
    /// Time of the slot.
    at: Timestamp,
    reason: String,
    message: String,
}

impl From<&TaranaSyncSchedule> for ScheduleResponse {
    fn from(schedule: &TaranaSyncSchedule) -> Self {
        let (spec, status) = (&schedule.spec, schedule.status.clone().unwrap_or_default());
        Self {
            namespace: schedule.namespace().unwrap_or_default(),
            name: schedule.name_any(),
            pattern: spec.schedule.clone(),
            time_zone: spec.time_zone.clone(),
            suspend: spec.suspend,
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
            last_skipped: status.last_skipped.map(|skipped| SkippedSlotResponse {
                at: skipped.time.0,
                reason: skipped.reason,
                message: skipped.message,
            }),
            conditions: conditions(&status.conditions),
        }
    }
}
