//! Pure: the one list of all metrics. Dashboards, alerts and documents name only these (`tests/it/monitoring.rs`).

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only increases; its samples have the suffix `_total`.
    Counter,
    /// The present value.
    Gauge,
    /// A distribution; its samples have the suffixes `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// Name, labels and meaning of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name without suffix.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The meaning, without the full stop.
    pub help: &'static str,
}

impl Metric {
    /// The names of its samples.
    pub fn sample_names(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        suffixes
            .iter()
            .map(|suffix| format!("{}{suffix}", self.name))
            .collect()
    }
}

/// Generates a constant for each metric, and the list of all.
macro_rules! metrics {
    ($($ident:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal,)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $ident: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($ident,)*];
    };
}

metrics! {
    // Runs, counted by the process that executes them.
    SYNC_RUNS: Counter "tarana_sync_runs" ["namespace", "connection", "trigger", "outcome"]
        "Runs that ended, by trigger (Manual, Api, Schedule) and outcome (Completed, Failed, Cancelled)",
    SYNC_ATTEMPT_FAILURES: Counter "tarana_sync_attempt_failures" ["namespace", "connection", "reason"]
        "Failed attempts by reason, the one that ended the run included",
    SYNC_RECORDS: Counter "tarana_sync_records" ["namespace", "connection", "result"]
        "Base stations of completed runs, dry runs excluded, by result (fetched, inserted, updated, unchanged, deleted, skipped, withheld)",
    SYNC_DURATION: Histogram "tarana_sync_duration_seconds" ["outcome"]
        "Duration of runs, from the first attempt to the end, by the database's clock",
    SYNC_STEP_DURATION: Histogram "tarana_sync_step_duration_seconds" ["step", "outcome"]
        "Duration of the steps Open, Fetch and Apply that succeeded or failed",
    SYNC_FENCING_REJECTIONS: Counter "tarana_sync_fencing_rejections" []
        "Writes of this process that were rejected because another process had taken the run over",
    SYNC_SLOTS: Gauge "tarana_sync_slots" ["state"]
        "Runs of this process that read or write at once (taken), and runs that wait until they may (waiting)",
    // Runs as the objects show them.
    SYNCS: Gauge "tarana_syncs" ["namespace", "connection", "phase"]
        "TaranaSync objects by phase",
    SYNC_ACTIVE_START: Gauge "tarana_sync_active_start_timestamp_seconds" ["namespace", "connection"]
        "When the active run of a connection left Pending",
    SYNC_ACTIVE_DEADLINE: Gauge "tarana_sync_active_deadline_timestamp_seconds" ["namespace", "connection"]
        "When the active run of a connection exceeds its activeDeadlineSeconds",
    SYNC_HEARTBEAT: Gauge "tarana_sync_heartbeat_timestamp_seconds" ["namespace", "connection"]
        "When this process last wrote to the log row of the active run of a connection",
    // Connections.
    CONNECTION_READY: Gauge "tarana_connection_ready" ["namespace", "connection", "reason"]
        "Whether a connection is Ready (1 or 0), with the reason of the condition",
    CONNECTION_SUSPENDED: Gauge "tarana_connection_suspended" ["namespace", "connection"]
        "Whether spec.suspend of a connection is set (1 or 0)",
    CONNECTION_THROTTLED_UNTIL: Gauge "tarana_connection_throttled_until_timestamp_seconds" ["namespace", "connection"]
        "Until when the vendor's API asked not to be called",
    CONNECTION_LAST_SUCCESS: Gauge "tarana_connection_last_success_timestamp_seconds" ["namespace", "connection"]
        "When the last successful run of a connection committed, dry runs excluded",
    CONNECTION_LAST_RUN: Gauge "tarana_connection_last_run_timestamp_seconds" ["namespace", "connection"]
        "When the last run of a connection ended, whatever its outcome, dry runs excluded; exported by the leader",
    CONNECTION_LAST_RUN_WITHHELD: Gauge "tarana_connection_withheld_deletes" ["namespace", "connection"]
        "Deletes that the guard withheld in the last successful run of a connection; exported by the leader",
    CONNECTION_STATIONS: Gauge "tarana_connection_stations" ["namespace", "connection", "status"]
        "Rows of the table of a connection by device_status (online, offline); exported by the leader",
    // Events.
    EVENT_DELIVERIES: Counter "tarana_event_deliveries" ["namespace", "connection", "outcome"]
        "Attempts to deliver an event by outcome (delivered, failed), and events that were given up (abandoned)",
    OUTBOX_EVENTS: Gauge "tarana_outbox_events" ["namespace", "connection"]
        "Events of a connection with a sink that are not delivered yet; exported by the leader",
    OUTBOX_OLDEST: Gauge "tarana_outbox_oldest_event_age_seconds" ["namespace", "connection"]
        "Age of the oldest of them when the outbox was last read, 0 without any; exported by the leader",
    // Schedules.
    SCHEDULE_INTERVAL: Gauge "tarana_schedule_interval_seconds" ["namespace", "schedule", "connection"]
        "Longest time between two successive slots of a schedule, from the last one until a week from now",
    SCHEDULE_NEXT_SLOT: Gauge "tarana_schedule_next_slot_timestamp_seconds" ["namespace", "schedule", "connection"]
        "The next slot of a schedule that is not suspended",
    SCHEDULE_SUSPENDED: Gauge "tarana_schedule_suspended" ["namespace", "schedule", "connection"]
        "Whether spec.suspend of a schedule is set (1 or 0)",
    SCHEDULE_FAILURES: Gauge "tarana_schedule_consecutive_failures" ["namespace", "schedule", "connection"]
        "Failed runs of a schedule since its last completed run",
    SCHEDULE_SLOTS: Counter "tarana_schedule_slots" ["namespace", "schedule", "outcome"]
        "Slots of a schedule by outcome (Ran, Skipped, Missed)",
    // The vendor's API.
    VENDOR_REQUESTS: Counter "tarana_vendor_requests" ["class", "outcome"]
        "Requests to the vendor's API by class, and by outcome: ok, or the reason of the failure",
    VENDOR_REQUEST_DURATION: Histogram "tarana_vendor_request_duration_seconds" ["class"]
        "Duration of requests to the vendor's API, body included",
    VENDOR_RESPONSE_BYTES: Counter "tarana_vendor_response_bytes" ["class"]
        "Bytes of the bodies of responses of the vendor's API",
    VENDOR_PAUSES: Counter "tarana_vendor_pauses" []
        "Pauses that the vendor's API asked for",
    // The database.
    DATABASE_TRANSACTION_DURATION: Histogram "tarana_database_transaction_duration_seconds" ["outcome"]
        "Duration of database transactions by outcome (committed, rolled_back, aborted)",
    DATABASE_CONNECT_FAILURES: Counter "tarana_database_connect_failures" []
        "Transactions that could not begin because no connection could be obtained",
    DATABASE_EXPIRED_ROWS: Counter "tarana_database_expired_rows" ["table"]
        "Rows that were deleted because they were older than the retention",
    // The Kubernetes API.
    KUBERNETES_REQUESTS: Counter "tarana_kubernetes_requests" ["verb", "resource", "status"]
        "Requests to the Kubernetes API by status code, or error if there was no response",
    KUBERNETES_REQUEST_DURATION: Histogram "tarana_kubernetes_request_duration_seconds" ["verb", "resource"]
        "Time from a request to the Kubernetes API to the headers of its response",
    WATCH_ERRORS: Counter "tarana_watch_errors" ["resource"]
        "Errors of the watch of a resource",
    WATCH_RELISTS: Counter "tarana_watch_relists" ["resource"]
        "Listings of a resource by its watch, the first included",
    INVALID_OBJECTS: Gauge "tarana_invalid_objects" ["kind"]
        "Objects that cannot be decoded and are ignored",
    // The process.
    RECONCILES: Counter "tarana_reconciles" ["kind", "outcome"]
        "Reconciles by outcome (success, conflict, rejected, error)",
    RECONCILE_DURATION: Histogram "tarana_reconcile_duration_seconds" ["kind"]
        "Duration of reconciles",
    LEADER: Gauge "tarana_leader" []
        "Whether this process runs the controllers (1 or 0)",
    BUILD_INFO: Gauge "tarana_build_info" ["version"]
        "Always 1, with the version of the operator",
    START_TIME: Gauge "process_start_time_seconds" []
        "When this process started",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ALL, Kind};

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let mut seen = HashSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is listed twice");
            assert!(
                name.starts_with("tarana_") || name.starts_with("process_"),
                "{name} has a foreign prefix"
            );
            assert!(
                !name.ends_with("_total") && !name.ends_with("_count"),
                "{name} ends in a suffix"
            );
            let measures_time = metric.kind == Kind::Histogram || name.contains("timestamp");
            assert!(!measures_time || name.ends_with("_seconds"), "{name} has no unit");
            assert!(
                !metric.help.ends_with('.'),
                "the help of {name} ends with a full stop"
            );
        }
    }

    #[test]
    fn the_readme_lists_every_metric() {
        let rows: Vec<String> = ALL
            .iter()
            .map(|metric| {
                let labels = metric.labels.iter().map(|label| format!("`{label}`"));
                let labels = labels.collect::<Vec<_>>().join(", ");
                let name = metric.sample_names().remove(0);
                let name = name.trim_end_matches("_bucket");
                format!("| `{name}` | {labels} | {} |", metric.help)
            })
            .collect();
        let table = rows.join("\n");
        assert!(
            include_str!("README.md").contains(&table),
            "the table in src/metrics/README.md must be:\n{table}"
        );
    }
}
