//! Pure: a run as it is shown, from its object or, where that is gone, from its row.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Condition, conditions, time};
use crate::admin::objects::id_of;
use crate::api::schedule::SCHEDULE_LABEL;
use crate::api::sync::{self, ConnectionRef, Phase, Step, TaranaSync, TaranaSyncSpec, TriggerType};
use crate::store::Logged;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum State {
    /// Waits for its connection or for another run.
    Pending,
    /// Attempts are made.
    Running,
    /// Did all that was asked.
    Completed,
    /// Ended without; the table is as it was.
    Failed,
    /// Ended because somebody asked; the table is as it was.
    Cancelled,
}

impl From<Phase> for State {
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

impl State {
    /// The word of a row.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The words of a row.
    fn of_row(row: &Logged) -> Self {
        match row.outcome.as_deref().unwrap_or(&row.status) {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "completed" => Self::Completed,
            "cancelled" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// The uid of its object and the id of its row.
    pub id: Uuid,
    /// Where its object is, or was; absent in rows of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of its object; absent in rows of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Name of its connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    /// Where it stands.
    pub phase: State,
    /// What the attempt is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    /// Number of the attempt, from 1; 0 before the first.
    attempt: i32,
    /// Plans, and changes nothing.
    dry_run: bool,
    /// Deletes rows of stations that are gone.
    delete_stale: bool,
    /// It was asked to end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel: bool,
    trigger: Trigger,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    /// From the one to the other, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    /// When the next attempt begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    /// Why it is as it is: one word, of the condition Finished or Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The same for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What the vendor was asked for: `RegionSearch`, `OperatorList` or `RadioSearch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<String>,
    /// How it is known that nothing was missing: `Total`, `TwoReadings` or `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
    /// What its object says; absent where that is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

/// Who or what asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Manual, Api or Schedule.
    #[serde(rename = "type")]
    type_: &'static str,
    /// Name of the person or account.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Id of the person in `admin_users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_user_id: Option<Uuid>,
    /// Name of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The slot of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<Timestamp>,
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Progress {
    /// Rows read.
    current: i64,
    /// Rows that the listing tells it has.
    total: i64,
}

/// What a run did, or (dry run) would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Base nodes in the listing.
    fetched: i64,
    /// New rows.
    inserted: i64,
    /// Rows of which something changed.
    updated: i64,
    /// Rows that were the same.
    unchanged: i64,
    /// Rows deleted.
    deleted: i64,
    /// Records that could not be used.
    skipped: i64,
    /// Stale rows kept by the delete guard.
    withheld: i64,
}

impl Sync {
    /// What a run like this one is to do, as far as its row tells.
    pub fn spec(&self, connection: &str) -> TaranaSyncSpec {
        let name = self.connection.clone().unwrap_or_else(|| connection.to_owned());
        TaranaSyncSpec {
            connection_ref: ConnectionRef { name },
            dry_run: self.dry_run,
            delete_stale: self.delete_stale,
            ..TaranaSyncSpec::default()
        }
    }
}

impl From<&TaranaSync> for Sync {
    fn from(sync: &TaranaSync) -> Self {
        let status = sync.status.clone().unwrap_or_default();
        let why = |type_: &str| status.conditions.iter().find(|c| c.type_ == type_);
        let why = why("Finished")
            .filter(|c| c.status == "True")
            .or_else(|| why("Ready"));
        let reading = status.reading.as_ref();
        Self {
            id: id_of(sync),
            namespace: sync.namespace(),
            name: Some(sync.name_any()),
            connection: Some(sync.spec.connection_ref.name.clone()),
            phase: status.phase.into(),
            step: status.step.map(step),
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
            progress: status.progress.map(|p| Progress {
                current: p.current,
                total: p.total,
            }),
            counts: status.counts.map(|c| counts(&c)),
            reason: why.map(|c| c.reason.clone()),
            message: why.map(|c| c.message.clone()),
            listing: reading.map(|r| r.listing.clone()),
            proof: reading.map(|r| r.proof.clone()),
            conditions: conditions(&status.conditions),
        }
    }
}

impl From<Logged> for Sync {
    fn from(row: Logged) -> Self {
        let phase = State::of_row(&row);
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
            trigger: Trigger {
                type_: if row.trigger_type == "cron" {
                    "Schedule"
                } else {
                    "Manual"
                },
                actor: row.actor,
                admin_user_id: row.triggered_by,
                schedule: None,
                scheduled_at: None,
            },
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            duration_ms: row.duration_ms,
            next_attempt_at: None,
            progress: None,
            counts: Some(Counts {
                fetched: c.fetched,
                inserted: c.inserted,
                updated: c.updated,
                unchanged: c.unchanged,
                deleted: c.deleted,
                skipped: c.skipped,
                withheld: c.withheld,
            }),
            reason: row.reason,
            message: row.message,
            listing,
            proof,
            conditions: Vec::new(),
        }
    }
}

fn trigger(sync: &TaranaSync) -> Trigger {
    let trigger = &sync.spec.trigger;
    Trigger {
        type_: match trigger.type_ {
            TriggerType::Manual => "Manual",
            TriggerType::Api => "Api",
            TriggerType::Schedule => "Schedule",
        },
        actor: trigger.actor.clone(),
        admin_user_id: trigger.admin_user_id,
        schedule: sync.labels().get(SCHEDULE_LABEL).cloned(),
        scheduled_at: time(trigger.scheduled_time.as_ref()),
    }
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Open => "Open",
        Step::Fetch => "Fetch",
        Step::Apply => "Apply",
    }
}

fn counts(c: &sync::Counts) -> Counts {
    Counts {
        fetched: c.fetched,
        inserted: c.inserted,
        updated: c.updated,
        unchanged: c.unchanged,
        deleted: c.deleted,
        skipped: c.skipped,
        withheld: c.withheld,
    }
}
