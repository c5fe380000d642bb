//! Pure: the response for a run on the legacy routes: the columns that `tarana_sync_logs` had before the operator existed.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::time;
use crate::admin::objects::object_id;
use crate::api::sync::{Phase, TaranaSync, TriggerType};
use crate::store::LoggedRun;

/// A row of `tarana_sync_logs`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Row)]
pub struct LegacyRow {
    id: Uuid,
    /// `pending`, `running`, `completed` or `failed`; a cancelled run is `failed`.
    status: String,
    /// `cron` or `manual`.
    trigger_type: String,
    #[schema(required)]
    triggered_by: Option<Uuid>,
    stations_fetched: i64,
    inserted: i64,
    updated: i64,
    deleted: i64,
    /// `[{message, timestamp}]`
    #[schema(value_type = Vec<Object>)]
    errors: Value,
    attempt: i32,
    #[schema(required)]
    started_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
    #[schema(required)]
    duration_ms: Option<i64>,
    created_at: Timestamp,
}

impl From<LoggedRun> for LegacyRow {
    fn from(row: LoggedRun) -> Self {
        Self {
            id: row.id,
            status: row.status,
            trigger_type: row.trigger_type,
            triggered_by: row.triggered_by,
            stations_fetched: row.counts.fetched,
            inserted: row.counts.inserted,
            updated: row.counts.updated,
            deleted: row.counts.deleted,
            errors: row.errors,
            attempt: row.attempt,
            started_at: row.started_at,
            completed_at: row.completed_at,
            duration_ms: row.duration_ms,
            created_at: row.created_at,
        }
    }
}

/// For a run without a log row.
impl From<&TaranaSync> for LegacyRow {
    fn from(sync: &TaranaSync) -> Self {
        let status = sync.status.clone().unwrap_or_default();
        let counts = status.counts.unwrap_or_default();
        let fetched = status
            .progress
            .map_or(counts.fetched, |progress| progress.current);
        Self {
            id: object_id(sync),
            status: match status.phase {
                Phase::Pending => "pending",
                Phase::Running => "running",
                Phase::Completed => "completed",
                Phase::Failed | Phase::Cancelled => "failed",
            }
            .to_owned(),
            trigger_type: match sync.spec.trigger.type_ {
                TriggerType::Schedule => "cron",
                TriggerType::Manual | TriggerType::Api => "manual",
            }
            .to_owned(),
            triggered_by: sync.spec.trigger.admin_user_id,
            stations_fetched: fetched,
            inserted: counts.inserted,
            updated: counts.updated,
            deleted: counts.deleted,
            errors: Value::Array(Vec::new()),
            attempt: status.attempt.max(1),
            started_at: time(status.start_time.as_ref()),
            completed_at: time(status.completion_time.as_ref()),
            duration_ms: status.duration_ms,
            created_at: time(sync.metadata.creation_timestamp.as_ref()).unwrap_or_default(),
        }
    }
}

impl LegacyRow {
    /// Id of the run.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Raises `stations_fetched` to the progress of the object, which is newer than the row.
    pub fn raise_fetched(&mut self, fetched: i64) {
        self.stations_fetched = self.stations_fetched.max(fetched);
    }
}
