//! Pure: the response for a run, from its object or, if that is deleted, from its log row.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ConditionResponse, conditions, find_condition, time};
use crate::admin::objects::object_id;
use crate::api::condition;
use crate::api::schedule::SCHEDULE_LABEL;
use crate::api::sync::{self, ConnectionRef, Phase, Step, TaranaSync, TaranaSyncSpec, TriggerType};
use crate::cluster::owning_schedule;
use crate::store::LoggedRun;

/// Phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = State)]
pub enum SyncPhase {
    /// The run waits for its connection or for another run.
    Pending,
    /// The run makes its attempts.
    Running,
    /// The run did all that was requested.
    Completed,
    /// The run failed; the table is unchanged.
    Failed,
    /// The run was cancelled; the table is unchanged.
    Cancelled,
}

impl From<Phase> for SyncPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Running => Self::Running,
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
            Phase::Cancelled => Self::Cancelled,
        }
    }
}

impl SyncPhase {
    /// The phase as status and outcome columns of a log row have it.
    pub fn row_status(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The phase that a log row shows.
    pub(super) fn from_row(row: &LoggedRun) -> Self {
        match row.outcome.as_deref().unwrap_or(&row.status) {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "completed" => Self::Completed,
            "cancelled" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// What requested a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriggerType)]
pub enum SyncTrigger {
    /// A person or program, through the Kubernetes API; after the object is deleted, also through this API.
    Manual,
    /// A caller of this API.
    Api,
    /// A slot of a schedule.
    Schedule,
}

impl From<TriggerType> for SyncTrigger {
    fn from(type_: TriggerType) -> Self {
        match type_ {
            TriggerType::Manual => Self::Manual,
            TriggerType::Api => Self::Api,
            TriggerType::Schedule => Self::Schedule,
        }
    }
}

impl SyncTrigger {
    /// All types.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Api, Self::Schedule];

    /// The type as the log row has it; `None` for one that rows do not tell from another.
    pub fn row_type(self) -> Option<&'static str> {
        match self {
            Self::Manual => Some("manual"),
            Self::Api => None,
            Self::Schedule => Some("cron"),
        }
    }

    /// The type that a log row shows.
    fn from_row(row: &LoggedRun) -> Self {
        if row.trigger_type == "cron" {
            Self::Schedule
        } else {
            Self::Manual
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Sync)]
#[serde(rename_all = "camelCase")]
pub struct SyncResponse {
    /// Uid of the object and id of the log row.
    pub id: Uuid,
    /// Namespace of the object; absent in rows of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object; absent in rows of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Phase.
    pub phase: SyncPhase,
    /// Step of the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// Number of the attempt, from 1; 0 before the first attempt.
    pub attempt: i32,
    /// Whether the run only plans and changes nothing.
    pub dry_run: bool,
    /// Whether the run deletes stale rows.
    pub delete_stale: bool,
    /// Whether cancellation was requested.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
    pub trigger: TriggerResponse,
    /// When the run was created.
    pub created_at: Timestamp,
    /// When the first attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Milliseconds from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// When the next attempt starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<CountsResponse>,
    /// Reason of the condition Finished or Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Message of that condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The vendor's listing that was read: `RegionSearch`, `OperatorList` or `RadioSearch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<String>,
    /// How the listing was proven complete: `Total`, `TwoReadings` or `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    /// Conditions of the object; absent if it is deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<ConditionResponse>,
}

/// Who or what requested the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Trigger)]
#[serde(rename_all = "camelCase")]
pub struct TriggerResponse {
    #[serde(rename = "type")]
    pub type_: SyncTrigger,
    /// Name of the user or service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Id of the user in `admin_users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_user_id: Option<Uuid>,
    /// Name of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Slot of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
}

/// Progress of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressResponse {
    /// Rows read.
    pub current: i64,
    /// Total that the listing reports.
    pub total: i64,
}

/// What a run changed, or (dry run) would have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsResponse {
    /// Base nodes in the listing.
    pub fetched: i64,
    /// Rows inserted.
    pub inserted: i64,
    /// Rows updated: those that differed.
    pub updated: i64,
    /// Rows that did not differ.
    pub unchanged: i64,
    /// Rows deleted.
    pub deleted: i64,
    /// Records that were skipped as unusable.
    pub skipped: i64,
    /// Stale rows that the delete guard kept.
    pub withheld: i64,
    /// Stale rows, which the listing lacks: deleted, withheld, or kept because `deleteStale` is not set. The latter are found by one reading, if it is
    /// proven complete. 0 in runs of older versions.
    pub stale: i64,
}

impl SyncResponse {
    /// Whether the run has ended.
    pub fn is_final(&self) -> bool {
        !matches!(self.phase, SyncPhase::Pending | SyncPhase::Running)
    }

    /// Whether the listing was not proven complete. Then no approval lets rows be deleted.
    pub fn has_unproven_listing(&self) -> bool {
        self.proof.as_deref() == Some("None")
    }

    /// The run in a message: its name, or else its id.
    pub fn describe(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// How many stale rows were kept.
    pub fn withheld(&self) -> i64 {
        self.counts.as_ref().map_or(0, |counts| counts.withheld)
    }

    /// How many stale rows were neither deleted nor withheld.
    pub fn kept_stale(&self) -> i64 {
        let kept = |counts: &CountsResponse| counts.stale - counts.deleted - counts.withheld;
        self.counts.as_ref().map_or(0, kept).max(0)
    }

    /// Why stale rows were kept, and what to do. A log row has this as its message.
    pub fn withheld_because(&self) -> Option<&str> {
        match find_condition(&self.conditions, condition::DELETES_WITHHELD) {
            Some(condition) => Some(&condition.message),
            None if self.conditions.is_empty() => self.message.as_deref(),
            None => None,
        }
    }

    /// The spec of a run like this one, as far as the log row holds it.
    pub fn to_spec(&self, default_connection: &str) -> TaranaSyncSpec {
        let name = self
            .connection
            .clone()
            .unwrap_or_else(|| default_connection.to_owned());
        TaranaSyncSpec {
            connection_ref: ConnectionRef { name },
            dry_run: self.dry_run,
            delete_stale: self.delete_stale,
            ..TaranaSyncSpec::default()
        }
    }
}

impl From<&TaranaSync> for SyncResponse {
    fn from(sync: &TaranaSync) -> Self {
        let status = sync.status.clone().unwrap_or_default();
        let condition = |type_: &str| condition::find(&status.conditions, type_);
        let condition = condition(condition::FINISHED)
            .filter(|c| c.status == "True")
            .or_else(|| condition(condition::READY));
        let reading = status.reading.as_ref();
        Self {
            id: object_id(sync),
            namespace: sync.namespace(),
            name: Some(sync.name_any()),
            connection: Some(sync.spec.connection_ref.name.clone()),
            phase: status.phase.into(),
            step: status.step.map(Step::as_str),
            attempt: status.attempt,
            dry_run: sync.spec.dry_run,
            delete_stale: sync.spec.delete_stale,
            cancel: sync.spec.cancel,
            trigger: trigger(sync),
            created_at: time(sync.metadata.creation_timestamp.as_ref()).unwrap_or_default(),
            started_at: time(status.start_time.as_ref()),
            completed_at: time(status.completion_time.as_ref()),
            duration_ms: status.duration_ms,
            next_attempt_at: time(status.next_attempt_time.as_ref()),
            progress: status.progress.map(|p| ProgressResponse {
                current: p.current,
                total: p.total,
            }),
            counts: status.counts.map(|c| counts(&c)),
            reason: condition.map(|c| c.reason.clone()),
            message: condition.map(|c| c.message.clone()),
            listing: reading.map(|r| r.listing.clone()),
            proof: reading.map(|r| r.proof.clone()),
            conditions: conditions(&status.conditions),
        }
    }
}

impl From<LoggedRun> for SyncResponse {
    fn from(row: LoggedRun) -> Self {
        let phase = SyncPhase::from_row(&row);
        let (type_, schedule) = (SyncTrigger::from_row(&row), schedule_of_row(&row));
        let c = row.counts;
        let (listing, proof) = row.reading.unzip();
        Self {
            id: row.id,
            namespace: row.namespace,
            name: row.name,
            connection: row.connection,
            phase,
            step: None,
            attempt: row.attempt,
            dry_run: row.dry_run,
            delete_stale: row.delete_stale,
            cancel: false,
            trigger: TriggerResponse {
                type_,
                actor: row.actor,
                admin_user_id: row.triggered_by,
                schedule,
                scheduled_at: None,
            },
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            duration_ms: row.duration_ms,
            next_attempt_at: None,
            progress: None,
            counts: Some(CountsResponse {
                fetched: c.fetched,
                inserted: c.inserted,
                updated: c.updated,
                unchanged: c.unchanged,
                deleted: c.deleted,
                skipped: c.skipped,
                withheld: c.withheld,
                stale: c.stale,
            }),
            reason: row.reason,
            message: row.message,
            listing,
            proof,
            conditions: Vec::new(),
        }
    }
}

/// The schedule that owns the run, or did so before it was deleted with `--cascade=orphan`.
pub fn schedule_name(sync: &TaranaSync) -> Option<String> {
    let owner = owning_schedule(sync).map(|(name, _)| name.to_owned());
    owner.or_else(|| sync.labels().get(SCHEDULE_LABEL).cloned())
}

/// The schedule of a slot's run: its name is that of the schedule and the slot as a number.
fn schedule_of_row(row: &LoggedRun) -> Option<String> {
    let (schedule, slot) = row.name.as_deref()?.rsplit_once('-')?;
    let is_slot = row.trigger_type == "cron" && !slot.is_empty() && slot.bytes().all(|b| b.is_ascii_digit());
    is_slot.then(|| schedule.to_owned())
}

fn trigger(sync: &TaranaSync) -> TriggerResponse {
    let trigger = &sync.spec.trigger;
    TriggerResponse {
        type_: trigger.type_.into(),
        actor: trigger.actor.clone(),
        admin_user_id: trigger.admin_user_id,
        schedule: schedule_name(sync),
        scheduled_at: time(trigger.scheduled_time.as_ref()),
    }
}

fn counts(c: &sync::Counts) -> CountsResponse {
    CountsResponse {
        fetched: c.fetched,
        inserted: c.inserted,
        updated: c.updated,
        unchanged: c.unchanged,
        deleted: c.deleted,
        skipped: c.skipped,
        withheld: c.withheld,
        stale: c.stale,
    }
}
