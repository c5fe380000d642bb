//! `TaranaSync`: one run, like a Job.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One run, like a Job. Immutable except for `cancel`, which cannot be reset, and `ttlSecondsAfterFinished`.
///
/// `metadata.uid` is the id of its row in `tarana_sync_logs`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "tarana.dev",
    version = "v1alpha1",
    kind = "TaranaSync",
    namespaced,
    shortname = "tsync",
    category = "tarana",
    status = "TaranaSyncStatus",
    derive = "PartialEq",
    doc = "One run of a sync, like a Job: it reads every base node of a TaranaConnection and updates the table to match. Its uid is the id of its row in tarana_sync_logs.",
    printcolumn = r#"{"name":"Connection","type":"string","jsonPath":".spec.connectionRef.name"}"#,
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"New","type":"integer","jsonPath":".status.counts.inserted"}"#,
    printcolumn = r#"{"name":"Changed","type":"integer","jsonPath":".status.counts.updated"}"#,
    printcolumn = r#"{"name":"Deleted","type":"integer","jsonPath":".status.counts.deleted"}"#,
    printcolumn = r#"{"name":"Withheld","type":"integer","jsonPath":".status.counts.withheld"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Step","type":"string","jsonPath":".status.step","priority":1}"#,
    printcolumn = r#"{"name":"Attempt","type":"integer","jsonPath":".status.attempt","priority":1}"#,
    printcolumn = r#"{"name":"Fetched","type":"integer","jsonPath":".status.counts.fetched","priority":1}"#,
    printcolumn = r#"{"name":"Unchanged","type":"integer","jsonPath":".status.counts.unchanged","priority":1}"#,
    printcolumn = r#"{"name":"Skipped","type":"integer","jsonPath":".status.counts.skipped","priority":1}"#,
    printcolumn = r#"{"name":"Dry Run","type":"boolean","jsonPath":".spec.dryRun","priority":1}"#,
    printcolumn = r#"{"name":"Trigger","type":"string","jsonPath":".spec.trigger.type","priority":1}"#,
    selectable = ".spec.connectionRef.name",
    selectable = ".spec.trigger.type",
    selectable = ".status.phase",
    validation = immutable("spec.connectionRef.name"),
    validation = immutable("spec.dryRun"),
    validation = immutable("spec.deleteStale"),
    validation = immutable_option("spec.approvedDeletes"),
    validation = immutable("spec.backoffLimit"),
    validation = immutable("spec.backoff.initialSeconds"),
    validation = immutable("spec.backoff.maxSeconds"),
    validation = immutable("spec.activeDeadlineSeconds"),
    validation = immutable("spec.trigger.type"),
    validation = immutable_option("spec.trigger.actor"),
    validation = immutable_option("spec.trigger.adminUserId"),
    validation = immutable_option("spec.trigger.scheduledTime"),
    validation = Rule::new("!oldSelf.spec.cancel || self.spec.cancel")
        .message("spec.cancel cannot be taken back: create a new TaranaSync")
        .field_path(".spec.cancel")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.approvedDeletes) || self.deleteStale")
        .message("approvedDeletes has no effect without deleteStale: true"),
)]
pub struct TaranaSyncSpec {
    /// The connection to run on, in the same namespace.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// Only plan: record what would change (`tarana_sync_changes`, applied = false) and change nothing. Default false.
    #[serde(default)]
    pub dry_run: bool,
    /// Delete stale rows: those of stations that a complete listing of their region does not contain. Default false.
    #[serde(default)]
    pub delete_stale: bool,
    /// Up to this many deletions are approved by a person, regardless of the connection's deleteGuard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub approved_deletes: Option<i32>,
    /// Retries after transient faults, 0 to 100: 3 means four attempts. Default 3.
    #[serde(default = "backoff_limit")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: i32,
    /// The delay before a retry.
    #[serde(default)]
    pub backoff: Backoff,
    /// Maximum duration of all attempts together in seconds, starting when the run leaves Pending, 1 to 86400. Default 600.
    #[serde(default = "active_deadline_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub active_deadline_seconds: i32,
    /// Seconds after the end of the run until the object is deleted. Its row in `tarana_sync_logs` stays. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Who or what requested the run, for its row in `tarana_sync_logs`.
    #[serde(default)]
    pub trigger: Trigger,
    /// Set to true to cancel the run. What is not committed by then is not written. Default false.
    #[serde(default)]
    pub cancel: bool,
}

impl Default for TaranaSyncSpec {
    fn default() -> Self {
        Self {
            connection_ref: ConnectionRef::default(),
            dry_run: false,
            delete_stale: false,
            approved_deletes: None,
            backoff_limit: backoff_limit(),
            backoff: Backoff::default(),
            active_deadline_seconds: active_deadline_seconds(),
            ttl_seconds_after_finished: None,
            trigger: Trigger::default(),
            cancel: false,
        }
    }
}

/// Reference to a `TaranaConnection` in the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// Name of the connection. Default default.
    #[serde(default = "default_name")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self { name: default_name() }
    }
}

/// The delay before a retry. It doubles with each retry.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.initialSeconds <= self.maxSeconds")
        .message("initialSeconds must not exceed maxSeconds")
)]
pub struct Backoff {
    /// Seconds before the first retry, 1 to 3600. Default 15.
    #[serde(default = "initial_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub initial_seconds: i32,
    /// Maximum seconds before a retry, 1 to 3600. Default 300.
    #[serde(default = "max_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub max_seconds: i32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial_seconds: initial_seconds(),
            max_seconds: max_seconds(),
        }
    }
}

/// Who or what requested the run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// Manual (kubectl), Api (HTTP) or Schedule. Default Manual.
    #[serde(default, rename = "type")]
    pub type_: TriggerType,
    /// Name of the user or service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub actor: Option<String>,
    /// Id of the user in `admin_users`, for `tarana_sync_logs.triggered_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_user_id: Option<uuid::Uuid>,
    /// The slot for which a schedule created the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Time>,
}

/// What requested the run.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerType {
    /// A user, for example with kubectl.
    #[default]
    Manual,
    /// A request to the HTTP API.
    Api,
    /// A schedule.
    Schedule,
}

/// Phase of a run.
#[derive(
    JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Phase {
    /// The run waits for its connection or for another run.
    #[default]
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

impl TaranaSync {
    /// Whether the run has ended, according to its object.
    pub fn is_final(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.phase.is_final())
    }

    /// Whether the run has left Pending.
    pub fn has_started(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.start_time.is_some())
    }

    /// Order of the runs of a connection: the one that has started, then the others by creation time and name, so that all
    /// processes agree.
    pub fn queue_position(&self) -> (bool, (Option<Timestamp>, Option<String>)) {
        (!self.has_started(), self.creation_order())
    }

    /// Order of the runs that have not started.
    pub fn creation_order(&self) -> (Option<Timestamp>, Option<String>) {
        let metadata = &self.metadata;
        let created = metadata.creation_timestamp.as_ref().map(|t| t.0);
        (created, metadata.name.clone())
    }
}

impl TriggerType {
    /// The name in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "Manual",
            Self::Api => "Api",
            Self::Schedule => "Schedule",
        }
    }
}

impl Phase {
    /// The name in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether the run has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Step of an attempt.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Sets the log row to running, with the attempt and a new fence number.
    Open,
    /// Reads the whole listing and proves it complete.
    Fetch,
    /// Writes the difference in one transaction.
    Apply,
}

impl Step {
    /// The name in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Fetch => "Fetch",
            Self::Apply => "Apply",
        }
    }
}

/// Whether a number is left out of the status.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde requires"
)]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// Observed state of a run.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaranaSyncStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Phase of the run.
    #[serde(default)]
    pub phase: Phase,
    /// Step of the attempt; absent between attempts and after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Number of the attempt, from 1. A restart of the operator does not count.
    #[serde(default)]
    pub attempt: i32,
    /// How often the operator ended during this attempt without handing over, for example for lack of memory. The second time the attempt
    /// fails.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interruptions: i32,
    /// Fence number under which an operator process works on the run, also in its log row. It increases when another process takes
    /// the run over; a process with an older number can no longer change anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<i64>,
    /// When the next attempt starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
    /// When the run left Pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Milliseconds from start to end, measured by the clock of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Rows of the listing read so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What the run changed, or (dry run) would have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// What was read, and how it was proven complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// The latest failure of an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// Ready, Reconciling, Stalled, Finished and `DeletesWithheld`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Progress of a fetch.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Rows read.
    pub current: i64,
    /// Total that the listing reports.
    pub total: i64,
}

/// The reading of a completed run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The vendor's listing that was read: RegionSearch, OperatorList or RadioSearch.
    pub listing: String,
    /// Total: the listing returned exactly as many rows as its total, each once. `TwoReadings`: two readings had the same serial
    /// numbers. None: there is no proof, so nothing was deleted.
    pub proof: String,
}

/// What a run changed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
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
    /// Records skipped as unusable; `tarana_sync_logs.errors` has the causes.
    pub skipped: i64,
    /// Stale rows that the delete guard kept.
    pub withheld: i64,
    /// Stale rows, which the listing lacks: deleted, withheld, or kept because `deleteStale` is not set. The latter are found by one reading, if it is
    /// proven complete.
    #[serde(default)]
    pub stale: i64,
}

/// Why an attempt failed.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Time of the failure.
    pub time: Time,
    /// Number of the attempt; 0 if the run ended before its first attempt.
    pub attempt: i32,
    /// Step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Reason in CamelCase, the same as in conditions and Events.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
}

/// The rule that the field at this path, which always has a value, cannot change.
fn immutable(path: &str) -> Rule {
    Rule::new(format!("self.{path} == oldSelf.{path}"))
        .message(format!("{path} is immutable: create a new TaranaSync").as_str())
        .field_path(format!(".{path}"))
}

/// The same for a field that may be absent: it cannot be set or removed either. (For `self.?path`, the API server cannot estimate
/// the length of a text and rejects the rule as too expensive.)
fn immutable_option(path: &str) -> Rule {
    let same = immutable(path);
    Rule {
        rule: format!(
            "has(self.{path}) == has(oldSelf.{path}) && (!has(self.{path}) || {})",
            same.rule
        ),
        ..same
    }
}

fn default_name() -> String {
    "default".into()
}
fn backoff_limit() -> i32 {
    3
}
fn active_deadline_seconds() -> i32 {
    600
}
fn initial_seconds() -> i32 {
    15
}
fn max_seconds() -> i32 {
    300
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_started_run_precedes_older_ones_and_names_decide_within_a_second() {
        let run = |name: &str, created: i64, started: bool| {
            let mut sync = TaranaSync::new(name, TaranaSyncSpec::default());
            let time = Time(Timestamp::from_second(created).unwrap());
            sync.metadata.creation_timestamp = Some(time.clone());
            sync.status = started.then(|| TaranaSyncStatus {
                start_time: Some(time),
                ..TaranaSyncStatus::default()
            });
            sync
        };
        let mut queue = [
            run("b", 1, false),
            run("c", 0, false),
            run("a", 1, false),
            run("d", 2, true),
        ];
        queue.sort_by_key(TaranaSync::queue_position);
        let names = queue.map(|sync| sync.metadata.name.unwrap());
        assert_eq!(names, ["d", "c", "a", "b"]);
    }
}
