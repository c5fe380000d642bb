//! Pure: what happened to a connection, from log rows, objects and Kubernetes Events.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::ResourceExt;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::objects::object_id;
use crate::api::condition;
use crate::api::reason::Reason;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;
use crate::store::RunMoment;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum TimelineType {
    /// The first attempt of a run started.
    SyncStarted,
    /// A run did all that was requested.
    SyncCompleted,
    /// A run failed.
    SyncFailed,
    /// A run was cancelled.
    SyncCancelled,
    /// A run was created that may delete stale rows regardless of the delete guard. Known as long as the object of the run exists.
    DeletesApproved,
    /// A schedule was suspended; the message has the reason. Known while it is suspended, and as long as Kubernetes keeps the Event (an
    /// hour by default).
    ScheduleSuspended,
    /// A schedule was resumed. Known as long as Kubernetes keeps the Event.
    ScheduleResumed,
    /// The connection or a schedule was created.
    Created,
    /// The spec of the connection or of a schedule was written. Kubernetes keeps only the last write of each field manager.
    SpecChanged,
}

/// Kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum TimelineKind {
    /// A connection.
    #[serde(rename = "TaranaConnection")]
    Connection,
    /// A schedule.
    #[serde(rename = "TaranaSyncSchedule")]
    Schedule,
    /// A run.
    #[serde(rename = "TaranaSync")]
    Sync,
}

/// The object that an entry is about. It may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineObject)]
pub struct TimelineObject {
    pub kind: TimelineKind,
    /// Absent in log rows of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Uid of the object.
    pub id: Uuid,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry {
    /// When it happened: of a run by the database's clock, of an object in whole seconds by that of Kubernetes.
    pub time: Timestamp,
    #[serde(rename = "type")]
    pub type_: TimelineType,
    /// Who requested the run, as whoever created it stated. This API states the caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    pub message: String,
    pub object: TimelineObject,
    /// Order of entries of the same time.
    #[serde(skip)]
    order: Uuid,
}

impl TimelineEntry {
    /// Position in the timeline.
    pub fn position(&self) -> (i64, Uuid) {
        (self.time.as_microsecond(), self.order)
    }

    fn of_object(time: Timestamp, type_: TimelineType, object: TimelineObject, message: String) -> Self {
        // The same in each request, and different for the entries of one object.
        let key = format!("{type_:?} {} {message}", object.id);
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let order = hash.first_chunk().copied().unwrap_or_default();
        Self {
            // Positions have microseconds.
            time: Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time),
            type_,
            actor: None,
            message,
            object,
            order: Uuid::from_bytes(order),
        }
    }
}

impl From<RunMoment> for TimelineEntry {
    fn from(moment: RunMoment) -> Self {
        let type_ = match (moment.is_end, moment.outcome.as_str()) {
            (false, _) => TimelineType::SyncStarted,
            (true, "completed") => TimelineType::SyncCompleted,
            (true, "cancelled") => TimelineType::SyncCancelled,
            (true, _) => TimelineType::SyncFailed,
        };
        Self {
            time: moment.at,
            type_,
            message: run_message(&moment),
            actor: moment.actor,
            object: TimelineObject {
                kind: TimelineKind::Sync,
                name: moment.name,
                id: moment.run,
            },
            // The store sorts by it.
            order: moment.run,
        }
    }
}

/// How a run was requested, and what came of it. That it started or ended is the type of the entry.
fn run_message(moment: &RunMoment) -> String {
    let origin = match (moment.trigger_type.as_str(), moment.dry_run) {
        ("cron", false) => "scheduled",
        ("cron", true) => "scheduled dry run",
        (_, false) => "requested",
        (_, true) => "requested dry run",
    };
    let counts = &moment.counts;
    let result = match (moment.is_end, moment.outcome.as_str()) {
        (false, _) | (true, "cancelled") => None,
        (true, "completed") => {
            let kept = match counts.kept_stale() {
                0 => String::new(),
                kept => format!(", {kept} stale rows kept"),
            };
            Some(format!(
                "{} fetched, {} inserted, {} updated, {} deleted, {} withheld, {} skipped{kept}",
                counts.fetched,
                counts.inserted,
                counts.updated,
                counts.deleted,
                counts.withheld,
                counts.skipped
            ))
        }
        (true, _) => Some(
            moment
                .reason
                .clone()
                .unwrap_or_else(|| "unknown reason".to_owned()),
        ),
    };
    let message = moment.message.clone().filter(|_| moment.is_end);
    let parts = [Some(origin.to_owned()), result, message];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(": ")
}

/// The approval that a run carries.
pub fn approval(sync: &TaranaSync) -> Option<TimelineEntry> {
    let approved = sync.spec.approved_deletes.filter(|approved| *approved > 0)?;
    let object = TimelineObject {
        kind: TimelineKind::Sync,
        name: Some(sync.name_any()),
        id: object_id(sync),
    };
    let created = sync.metadata.creation_timestamp.as_ref()?.0;
    let message = format!("up to {approved} deletions approved");
    let entry = TimelineEntry::of_object(created, TimelineType::DeletesApproved, object, message);
    Some(TimelineEntry {
        actor: sync.spec.trigger.actor.clone(),
        ..entry
    })
}

/// The creation of an object, and the last write of its spec by each field manager.
pub fn spec_changes(kind: TimelineKind, metadata: &ObjectMeta) -> Vec<TimelineEntry> {
    let object = TimelineObject {
        kind,
        name: metadata.name.clone(),
        id: metadata
            .uid
            .as_deref()
            .and_then(|uid| uid.parse().ok())
            .unwrap_or_default(),
    };
    let Some(created) = metadata.creation_timestamp.as_ref().map(|t| t.0) else {
        return Vec::new();
    };
    let entry = |time, type_, message| TimelineEntry::of_object(time, type_, object.clone(), message);
    let changes = metadata.managed_fields.iter().flatten().filter_map(|manager| {
        let (time, fields) = (manager.time.as_ref()?.0, spec_fields(manager)?);
        let name = manager.manager.as_deref().unwrap_or("an unnamed field manager");
        let message = format!("{name} wrote the object; of its spec it set: {fields}");
        (time > created).then(|| entry(time, TimelineType::SpecChanged, message))
    });
    let created = entry(created, TimelineType::Created, "created".to_owned());
    std::iter::once(created).chain(changes).collect()
}

/// The fields of the spec that a field manager owns; `None` if there are none.
fn spec_fields(manager: &ManagedFieldsEntry) -> Option<String> {
    let fields = manager.fields_v1.as_ref()?.0.get("f:spec")?.as_object()?;
    let names: Vec<&str> = fields.keys().filter_map(|key| key.strip_prefix("f:")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The suspension of a schedule that is in force, by its condition Ready, unless one of `events` reports it.
pub fn suspension(schedule: &TaranaSyncSchedule, events: &[TimelineEntry]) -> Option<TimelineEntry> {
    let status = schedule.status.as_ref()?;
    let ready = condition::find(&status.conditions, condition::READY)?;
    let since = ready.last_transition_time.0;
    let is_suspended = schedule.spec.suspend && ready.reason == Reason::Suspended.as_str();
    let id = object_id(schedule);
    let is_reported = events.iter().any(|event| {
        event.type_ == TimelineType::ScheduleSuspended && event.object.id == id && event.time >= since
    });
    (is_suspended && !is_reported).then(|| {
        let object = schedule_object(schedule);
        TimelineEntry::of_object(
            since,
            TimelineType::ScheduleSuspended,
            object,
            ready.message.clone(),
        )
    })
}

/// What an Event reports about one of these schedules: suspensions, or their ends. A repeated Event has the times of its first and
/// its last occurrence.
pub fn event<'a>(
    event: &Event,
    schedules: impl IntoIterator<Item = &'a TaranaSyncSchedule>,
) -> Vec<TimelineEntry> {
    let type_ = match event.reason.as_deref().and_then(Reason::parse) {
        Some(Reason::Suspended) => TimelineType::ScheduleSuspended,
        Some(Reason::Resumed) => TimelineType::ScheduleResumed,
        _ => return Vec::new(),
    };
    let uid = event.regarding.as_ref().and_then(|object| object.uid.as_ref());
    let mut schedules = schedules.into_iter();
    let Some(schedule) = schedules.find(|schedule| uid.is_some() && schedule.metadata.uid.as_ref() == uid)
    else {
        return Vec::new();
    };
    let series = event.series.as_ref().map(|series| &series.last_observed_time);
    let times = event.event_time.iter().chain(series);
    let message = event.note.clone().unwrap_or_default();
    times
        .map(|time| TimelineEntry::of_object(time.0, type_, schedule_object(schedule), message.clone()))
        .collect()
}

fn schedule_object(schedule: &TaranaSyncSchedule) -> TimelineObject {
    TimelineObject {
        kind: TimelineKind::Schedule,
        name: Some(schedule.name_any()),
        id: object_id(schedule),
    }
}

#[cfg(test)]
mod tests;
