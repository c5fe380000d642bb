//! Pure: the current and the last run in words.

use jiff::Timestamp;
use uuid::Uuid;

use super::words;
use crate::admin::response::sync::{SyncPhase, SyncResponse, SyncTrigger};

/// A run that waits or runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentRun {
    pub id: Uuid,
    /// `Pending`, `Running` or `Cancelling`.
    pub state: &'static str,
    /// What it does, or what it waits for.
    pub detail: String,
    /// How much of the listing is read, in percent. `None` if its size is not known, or if all that is known of is read: more may follow.
    pub percent: Option<i64>,
    /// How much is read, in words.
    pub progress: Option<String>,
    pub since: Timestamp,
    pub since_text: String,
    /// The time since then.
    pub age: String,
    pub options: String,
    /// Who or what started it.
    pub origin: String,
    /// The attempt, from the second one on.
    pub attempt: Option<i32>,
    pub is_cancelling: bool,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    pub id: Uuid,
    /// `Completed`, `Withheld`, `Failed` or `Cancelled`.
    pub state: &'static str,
    pub summary: String,
    pub time: Timestamp,
    pub time_text: String,
    pub ago: String,
    pub options: String,
    pub origin: String,
}

impl CurrentRun {
    /// The run, seen from this moment.
    pub fn new(run: &SyncResponse, now: Timestamp) -> Self {
        let progress = run
            .progress
            .filter(|progress| progress.current > 0 || progress.total > 0);
        let partial = progress.filter(|progress| progress.current < progress.total);
        let since = run.started_at.unwrap_or(run.created_at);
        Self {
            id: run.id,
            state: state(run),
            detail: words::sentence(run.message.as_deref().unwrap_or("waits for the operator")),
            percent: partial
                .map(|progress| (progress.current.saturating_mul(100) / progress.total).clamp(0, 100)),
            progress: progress.map(|progress| {
                let total = partial.map(|progress| format!(" of {}", words::number(progress.total)));
                format!(
                    "{}{} read",
                    words::number(progress.current),
                    total.unwrap_or_default()
                )
            }),
            since,
            since_text: words::utc(since),
            age: words::duration(now.duration_since(since)),
            options: options(run),
            origin: origin(run),
            attempt: Some(run.attempt).filter(|attempt| *attempt > 1),
            is_cancelling: run.cancel,
        }
    }
}

impl LastRun {
    /// The run, seen from this moment.
    pub fn new(run: &SyncResponse, now: Timestamp) -> Self {
        let time = run.completed_at.unwrap_or(run.created_at);
        Self {
            id: run.id,
            state: state(run),
            summary: summary(run),
            time,
            time_text: words::utc(time),
            ago: words::ago(now.duration_since(time)),
            options: options(run),
            origin: origin(run),
        }
    }
}

/// The state of a run in a word, which is also the name of its color.
pub fn state(run: &SyncResponse) -> &'static str {
    match run.phase {
        SyncPhase::Completed if run.withheld() > 0 => "Withheld",
        SyncPhase::Completed => "Completed",
        SyncPhase::Cancelled => "Cancelled",
        SyncPhase::Failed => "Failed",
        SyncPhase::Pending | SyncPhase::Running if run.cancel => "Cancelling",
        SyncPhase::Pending => "Pending",
        SyncPhase::Running => "Running",
    }
}

/// What a run changed, or why it did not complete.
pub fn summary(run: &SyncResponse) -> String {
    let message = || words::sentence(run.message.as_deref().unwrap_or("no details are recorded"));
    let Some(counts) = run.counts.as_ref().filter(|_| run.phase == SyncPhase::Completed) else {
        return message();
    };
    let parts = [
        (counts.fetched, "read"),
        (counts.inserted, "new"),
        (counts.updated, "changed"),
        (counts.deleted, "deleted"),
        (
            counts.withheld + run.kept_stale(),
            "kept although no longer listed",
        ),
        (counts.skipped, "unusable"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .enumerate()
        // What was read, inserted and changed is always shown.
        .filter(|(index, (count, _))| *index < 3 || *count > 0)
        .map(|(_, (count, what))| format!("{} {what}", words::number(count)))
        .collect();
    let counts = parts.join(", ");
    match run.withheld_because() {
        Some(message) if run.withheld() > 0 => format!("{counts}. {}", words::sentence(message)),
        _ => counts,
    }
}

/// The options of a run; empty if it has none.
pub fn options(run: &SyncResponse) -> String {
    let options = [
        (run.dry_run, "dry run"),
        (
            run.delete_stale,
            if run.dry_run {
                "including deletions"
            } else {
                "deletes stale stations"
            },
        ),
    ];
    let chosen: Vec<&str> = options
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| name)
        .collect();
    chosen.join(", ")
}

/// Who or what started a run.
pub fn origin(run: &SyncResponse) -> String {
    match (&run.trigger.schedule, &run.trigger.actor, run.trigger.type_) {
        (Some(schedule), _, _) => format!("by the schedule {schedule}"),
        (None, Some(actor), _) if !actor.is_empty() => format!("by {actor}"),
        (None, _, SyncTrigger::Schedule) => "by a schedule".to_owned(),
        (None, _, _) => "by hand".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::sync::TaranaSync;

    fn run(spec: &Value, status: &Value) -> SyncResponse {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": "r", "creationTimestamp": "2026-03-10T04:00:00Z"}, "spec": spec, "status": status});
        SyncResponse::from(&serde_json::from_value::<TaranaSync>(object).unwrap())
    }

    fn now() -> Timestamp {
        "2026-03-10T06:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_current_run_shows_its_state_and_progress() {
        let status = json!({"phase": "Running", "attempt": 2, "startTime": "2026-03-10T05:58:00Z", "progress": {"current": 1250, "total": 5000}});
        let current = CurrentRun::new(&run(&json!({"dryRun": true}), &status), now());
        assert_eq!((current.state, current.percent), ("Running", Some(25)));
        assert_eq!(current.progress.as_deref(), Some("1,250 of 5,000 read"));
        assert_eq!((current.options.as_str(), current.attempt), ("dry run", Some(2)));
        assert_eq!(
            (current.since_text.as_str(), current.age.as_str()),
            ("2026-03-10 05:58 UTC", "2 min")
        );
        let status_with =
            |current: i64| json!({"phase": "Running", "progress": {"current": current, "total": 622}});
        let all_known = CurrentRun::new(&run(&json!({}), &status_with(622)), now());
        assert_eq!(
            (all_known.percent, all_known.progress.as_deref()),
            (None, Some("622 read"))
        );
        let pending = CurrentRun::new(&run(&json!({}), &json!({})), now());
        assert_eq!(
            (pending.state, pending.detail.as_str()),
            ("Pending", "Waits for the operator.")
        );
        let cancelling = CurrentRun::new(&run(&json!({"cancel": true}), &status), now());
        assert!(cancelling.is_cancelling && cancelling.state == "Cancelling");
    }

    #[test]
    fn the_last_run_shows_what_it_changed_or_why_it_failed() {
        let counts = |withheld: i64| json!({"fetched": 704, "inserted": 2, "updated": 0, "unchanged": 702, "deleted": 0, "skipped": 0, "withheld": withheld});
        let ended = |phase: &str, withheld: i64| {
            let finished = json!({"type": "Finished", "status": "True", "reason": "R", "message": "the password is wrong",
                "lastTransitionTime": "2026-03-10T05:00:00Z"});
            let mut kept = finished.clone();
            (kept["type"], kept["message"]) = ("DeletesWithheld".into(), "approve them".into());
            let status = json!({"phase": phase, "counts": counts(withheld), "completionTime": "2026-03-10T05:00:00Z", "conditions": [finished, kept]});
            LastRun::new(&run(&json!({}), &status), now())
        };
        let completed = ended("Completed", 0);
        assert_eq!(
            (
                completed.state,
                completed.summary.as_str(),
                completed.ago.as_str()
            ),
            ("Completed", "704 read, 2 new, 0 changed", "1 h ago")
        );
        let withheld = ended("Completed", 3);
        assert_eq!(withheld.state, "Withheld");
        assert_eq!(
            withheld.summary,
            "704 read, 2 new, 0 changed, 3 kept although no longer listed. Approve them."
        );
        let failed = ended("Failed", 0);
        assert_eq!(
            (failed.state, failed.summary.as_str()),
            ("Failed", "The password is wrong.")
        );
    }
}
