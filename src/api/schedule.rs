//! `TaranaSyncSchedule`: creates runs on a schedule, like a `CronJob`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sync::{Phase, TaranaSyncSpec};

/// Annotation that requests a run now when it is set or changed: `kubectl annotate --overwrite tss/nightly tarana.dev/trigger-requested-at="$(date -Is)"`.
pub const TRIGGER_ANNOTATION: &str = "tarana.dev/trigger-requested-at";
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
    printcolumn = r#"{"name":"Last","type":"date","jsonPath":".status.lastScheduleTime","priority":1}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend","priority":1}"#,
    printcolumn = r#"{"name":"Active","type":"string","jsonPath":".status.active","priority":1}"#,
    printcolumn = r#"{"name":"Last Skipped","type":"date","jsonPath":".status.lastSkipped.time","priority":1}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message","priority":1}"#,
    selectable = ".spec.suspend",
    validation = Rule::new("size(self.metadata.name) <= 52")
        .message("metadata.name must be at most 52 characters: the names of its runs have eleven more")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.jitterSeconds <= self.startingDeadlineSeconds")
        .message("jitterSeconds must not exceed startingDeadlineSeconds: a run that is delayed longer would not be started")
)]
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
    /// What happens if a run of this schedule is still active at the next slot. Default Forbid.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// Seconds after a slot within which its run is still started if the operator was not running in time, 60 to 31536000. Of several
    /// late slots only the newest starts a run. Default 14400.
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

/// What happens if a run is still active at the next slot.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrencyPolicy {
    /// The slot is skipped and recorded in `lastSkipped`.
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
    /// When a run of this schedule last completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// The run that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,
    /// Names of the active runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Number of runs that failed since a run last completed. Cancelled runs are not counted.
    #[serde(default)]
    pub consecutive_failures: i32,
    /// The newest slot that started no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_skipped: Option<Skipped>,
    /// The last value of the annotation `tarana.dev/trigger-requested-at` that was handled.
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
}

impl LastSync {
    /// Sorts runs by their end. Times are whole seconds, so the name decides between equal ones.
    pub fn sort_key(&self) -> (k8s_openapi::jiff::Timestamp, &str) {
        (self.completion_time.0, &self.name)
    }
}

/// A slot that started no run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Time of the slot.
    pub time: Time,
    /// `SlotSkipped`, `SlotMissed`, `NameTaken` or `RunRefused`.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
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
