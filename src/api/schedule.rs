//! `TaranaSyncSchedule`: creates runs on a schedule, like a `CronJob`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sync::{Phase, TaranaSyncSpec};

/// Annotation that requests a run now when it is set or changed: `kubectl annotate --overwrite tss/nightly tarana.dev/trigger-requested-at="$(date -Is)"`.
/// After the time, the options `dryRun` and `deleteStale` can follow.
pub const TRIGGER_ANNOTATION: &str = "tarana.dev/trigger-requested-at";
/// Option of the trigger annotation: the run only plans.
pub const TRIGGER_DRY_RUN: &str = "dryRun";
/// Option of the trigger annotation: the run deletes stale rows.
pub const TRIGGER_DELETE_STALE: &str = "deleteStale";
/// Label of a run: the name of its schedule.
pub const SCHEDULE_LABEL: &str = "tarana.dev/schedule";

/// Creates a `TaranaSync` at each slot of its cron pattern.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tarana.dev",
    version = "v1alpha1",
    kind = "TaranaSyncSchedule",
    namespaced,
    shortname = "tss",
    category = "tarana",
    status = "TaranaSyncScheduleStatus",
    derive = "PartialEq",
    doc = "Creates a TaranaSync at each slot of its cron pattern, like a CronJob. Each slot starts at most one run, and creating, editing or resuming the schedule starts none.",
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Next","type":"string","jsonPath":".status.nextScheduleTime"}"#,
    printcolumn = r#"{"name":"Last Success","type":"date","jsonPath":".status.lastSuccessfulTime"}"#,
    printcolumn = r#"{"name":"Failures","type":"integer","jsonPath":".status.consecutiveFailures"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Time Zone","type":"string","jsonPath":".spec.timeZone","priority":1}"#,
    printcolumn = r#"{"name":"Last","type":"string","jsonPath":".status.conditions[?(@.type==\"LastSyncSucceeded\")].reason","priority":1}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend","priority":1}"#,
    printcolumn = r#"{"name":"Suspend Reason","type":"string","jsonPath":".spec.suspendReason","priority":1}"#,
    printcolumn = r#"{"name":"Active","type":"string","jsonPath":".status.active","priority":1}"#,
    printcolumn = r#"{"name":"Last Slot","type":"string","jsonPath":".status.recentSlots[0].outcome","priority":1}"#,
    printcolumn = r#"{"name":"Last Skipped","type":"date","jsonPath":".status.recentSlots[?(@.outcome!=\"Ran\")].time","priority":1}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message","priority":1}"#,
    selectable = ".spec.suspend",
    validation = Rule::new("size(self.metadata.name) <= 52")
        .message("metadata.name must be at most 52 characters: the names of its runs have eleven more")
)]
#[serde(rename_all = "camelCase")]
pub struct TaranaSyncScheduleSpec {
    /// Cron pattern: minute, hour, day of month, month and day of week (0 or 7 is Sunday), each a list of `*`, `*/step`, a value,
    /// `low-high` or `low-high/step`. Months and weekdays may also be names of three letters. Alternatively @hourly, @daily,
    /// @midnight, @weekly, @monthly, @yearly or @annually. If one of the two day fields starts with `*`, a day must match both,
    /// otherwise one is enough. `tarana-operator preview` prints the next slots.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(r"self.startsWith('@') ? self.matches('^@(hourly|daily|midnight|weekly|monthly|yearly|annually)$') : self.matches('^[ \\t]*[^ \\t]+([ \\t]+[^ \\t]+){4}[ \\t]*$')")
            .message("must be the five fields minute, hour, day of month, month and day of week, or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually: there are no seconds, no years and no @every, and the time zone is spec.timeZone"),
        validation = Rule::new(r"self.matches('^(@.*|[ \\t]*[-0-9*,/]+[ \\t]+[-0-9*,/]+[ \\t]+[-0-9*,/]+[ \\t]+[-0-9*,/A-Za-z]+[ \\t]+[-0-9*,/A-Za-z]+[ \\t]*)$')")
            .message("a field holds something other than numbers, `*`, `,`, `-`, `/` and (month and day of week) names: ? L W # and the like are not known here")
    )]
    pub schedule: String,
    /// Time zone of `schedule`: a name of the IANA database. Default Etc/UTC.
    #[serde(default = "time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// If true, slots start no runs, and are not started later either. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// Why the schedule is suspended, for whoever wonders: at most 256 characters. It has no effect while `suspend` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub suspend_reason: Option<String>,
    /// What happens if a slot's run is still active at the next slot. Runs that were requested do not count. Default Forbid.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// Seconds after a slot and its jitter within which its run is still started if the operator was not running in time, 60 to
    /// 31536000. Of several late slots only the newest starts a run. Default 14400.
    #[serde(default = "starting_deadline_seconds")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub starting_deadline_seconds: i32,
    /// Maximum delay of a run's start in seconds, 0 to 3600, so that many schedules do not start at the same time. The delay
    /// depends only on the schedule and the slot, and it ends before the next slot. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub jitter_seconds: i32,
    /// Number of completed runs to keep, 0 to 100. The newest is always kept. Default 5.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_syncs_history_limit: i32,
    /// Number of failed and cancelled runs to keep, 0 to 100. Default 5.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub failed_syncs_history_limit: i32,
    /// Template of the runs.
    #[serde(default)]
    pub template: Template,
}

/// Template of the runs of a schedule.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!self.spec.cancel && self.spec.trigger.type == 'Manual' && !has(self.spec.trigger.actor) && !has(self.spec.trigger.adminUserId) && !has(self.spec.trigger.scheduledTime)")
        .message("spec.template.spec.cancel and spec.template.spec.trigger belong to a run: leave them out"),
    validation = Rule::new("!has(self.spec.ttlSecondsAfterFinished)")
        .message("spec.template.spec.ttlSecondsAfterFinished has no place here: successfulSyncsHistoryLimit and failedSyncsHistoryLimit say how many runs are kept"),
    validation = Rule::new("!has(self.spec.approvedDeletes)")
        .message("spec.template.spec.approvedDeletes is a person's word on one run: raise the connection's deleteGuard instead")
)]
pub struct Template {
    /// Labels and annotations of the run.
    #[serde(default)]
    pub metadata: TemplateMetadata,
    /// Spec of the run, without `trigger`, `cancel`, `ttlSecondsAfterFinished` and `approvedDeletes`.
    #[serde(default)]
    pub spec: TaranaSyncSpec,
}

/// Labels and annotations of a run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateMetadata {
    /// Labels, in addition to `tarana.dev/schedule`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What happens if a slot's run is still active at the next slot. Runs that were requested wait in the queue of the connection
/// instead, before or behind the slot's run.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrencyPolicy {
    /// The slot is skipped. `recentSlots` names the active run.
    #[default]
    Forbid,
    /// The active run is cancelled. Once it has ended, the run of the slot is created.
    Replace,
}

/// Observed state of a schedule.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaranaSyncScheduleStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The uid of the object that this status describes. A backup may restore the status of an earlier object: its slots are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_uid: Option<String>,
    /// The pattern and time zone to which `notBefore` applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_schedule: Option<String>,
    /// Slots up to this time start no runs any more. It is the time at which the schedule was created, its pattern or time
    /// zone was changed, or it was resumed, or the newest slot that was handled. It only moves forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The newest slot that started a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// The next slot; absent while suspended, and if the pattern has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// When a run of this schedule last completed. Dry runs do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// The run that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,
    /// Names of the active runs, oldest first, at most the newest 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Number of runs that failed since a run last completed. Cancelled runs and dry runs do not count.
    #[serde(default)]
    pub consecutive_failures: i32,
    /// What happened to the newest slots, newest first, at most 20. Fewer if the status would exceed 4 KiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_slots: Vec<SlotRecord>,
    /// The last value of the annotation `tarana.dev/trigger-requested-at` that was handled. Of a value of more than 64 bytes, which
    /// is invalid, only the beginning and a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_trigger: Option<String>,
    /// Ready, Stalled and `LastSyncSucceeded`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A run that has ended.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    /// Name of the `TaranaSync`.
    pub name: String,
    /// Its final phase.
    pub phase: Phase,
    /// Reason in CamelCase.
    pub reason: String,
    /// When the run ended.
    pub completion_time: Time,
    /// Whether the run changed nothing. Such a run counts neither as a success nor as a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl LastSync {
    /// Sorts runs by their end. Times are whole seconds, so the name decides between equal ones.
    pub fn sort_key(&self) -> (k8s_openapi::jiff::Timestamp, &str) {
        (self.completion_time.0, &self.name)
    }
}

/// What happened to a slot.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// Time of the slot.
    pub time: Time,
    /// `Ran`, `Skipped` or `Missed`.
    pub outcome: SlotOutcome,
    /// Why. Ran: `RunCreated`. Skipped: `RunActive`, `Suspended`, `ScheduleChanged`, `NameTaken` or `RunRefused`. Missed: `SlotMissed`.
    pub reason: String,
    /// The run of the slot; for `RunActive` the run that was still active, for `NameTaken` the object that has the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
}

/// Whether a slot started a run.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SlotOutcome {
    /// A run was created.
    Ran,
    /// The operator decided not to create a run.
    Skipped,
    /// No operator handled the slot in time.
    Missed,
}

impl SlotOutcome {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Ran, Self::Skipped, Self::Missed];

    /// The name in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "Ran",
            Self::Skipped => "Skipped",
            Self::Missed => "Missed",
        }
    }
}

/// The value of the trigger annotation for a request.
pub fn trigger_value(
    requested_at: k8s_openapi::jiff::Timestamp,
    dry_run: bool,
    delete_stale: bool,
) -> String {
    let options = [(dry_run, TRIGGER_DRY_RUN), (delete_stale, TRIGGER_DELETE_STALE)];
    let words = options.into_iter().filter(|(is_set, _)| *is_set);
    words.fold(requested_at.to_string(), |value, (_, word)| {
        format!("{value} {word}")
    })
}

fn time_zone() -> String {
    "Etc/UTC".into()
}
fn starting_deadline_seconds() -> i32 {
    14_400
}
fn history_limit() -> i32 {
    5
}
