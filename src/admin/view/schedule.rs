//! Pure: a schedule as it is shown.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use utoipa::ToSchema;

use super::sync::State;
use super::{Condition, conditions, time};
use crate::api::schedule::{ConcurrencyPolicy, TaranaSyncSchedule};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    namespace: String,
    name: String,
    /// The pattern: minute, hour, day of month, month, day of week.
    #[serde(rename = "schedule")]
    pattern: String,
    /// Whose wall clock it is about.
    time_zone: String,
    /// No slot starts a run.
    suspend: bool,
    /// Forbid or Replace.
    concurrency_policy: &'static str,
    /// Name of the connection of its runs.
    connection: String,
    /// The next slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_schedule_at: Option<Timestamp>,
    /// The newest slot for which a run was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_schedule_at: Option<Timestamp>,
    /// When a run of it completed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_successful_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<LastSync>,
    /// Names of the runs that have not ended.
    active: Vec<String>,
    /// Runs that failed since the last one that completed.
    consecutive_failures: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_skipped: Option<Skipped>,
    conditions: Vec<Condition>,
}

/// The run that ended last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    name: String,
    phase: State,
    reason: String,
    completed_at: Timestamp,
}

/// The newest slot that no run was created for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Skipped {
    /// The slot.
    at: Timestamp,
    reason: String,
    message: String,
}

impl From<&TaranaSyncSchedule> for Schedule {
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
            last_sync: status.last_sync.map(|last| LastSync {
                name: last.name,
                phase: last.phase.into(),
                reason: last.reason,
                completed_at: last.completion_time.0,
            }),
            active: status.active,
            consecutive_failures: status.consecutive_failures,
            last_skipped: status.last_skipped.map(|skipped| Skipped {
                at: skipped.time.0,
                reason: skipped.reason,
                message: skipped.message,
            }),
            conditions: conditions(&status.conditions),
        }
    }
}
