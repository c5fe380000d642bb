//! Pure: a schedule in words: its pattern, its newest slots and its next ones.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::admin::response;
use crate::admin::response::schedule::{ScheduleResponse, SlotRecordResponse};
use crate::admin::response::slot::SlotResponse;
use crate::admin::response::sync::SyncResponse;
use crate::admin::slots::next_slots;
use crate::admin::station_query::ConnectionQuery;
use crate::admin::ui::current_run::{state as run_state, summary};
use crate::admin::ui::runs::links;
use crate::admin::ui::runs::query::RunsQuery;
use crate::admin::ui::words;
use crate::api::condition;
use crate::api::schedule::TaranaSyncSchedule;
use crate::cron::Cron;

/// Number of slots on each side.
const SHOWN_SLOTS: usize = 5;

/// A schedule.
#[derive(Clone, Debug)]
pub struct ScheduleView {
    pub name: String,
    /// `Active`, `Suspended` or `Blocked`.
    pub state: &'static str,
    /// Why it is suspended or blocked.
    pub reason: Option<String>,
    pub pattern: String,
    /// The pattern in words; `None` if it is invalid.
    pub pattern_in_words: Option<String>,
    pub time_zone: String,
    /// Options of its syncs.
    pub options: String,
    pub deletes: bool,
    pub is_dry_run: bool,
    /// How many syncs in a row failed, from the second on.
    pub failures: Option<i32>,
    pub recent: Vec<RecentSlot>,
    pub next: Vec<NextSlot>,
}

/// A slot that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentSlot {
    pub time: Timestamp,
    pub text: String,
    /// The state of its sync, or `Skipped` or `Missed`.
    pub state: &'static str,
    pub reason: String,
    /// Address of its sync.
    pub address: Option<String>,
}

/// A slot to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextSlot {
    pub time: Timestamp,
    pub text: String,
    pub ahead: String,
    /// The wall clock in the time zone of the pattern, if that is not UTC.
    pub local: Option<String>,
    /// What is unusual about it.
    pub notes: Vec<String>,
}

impl ScheduleView {
    /// The schedule at this moment. `runs` are its newest runs by their names.
    pub fn new(
        schedule: &TaranaSyncSchedule,
        runs: &HashMap<String, SyncResponse>,
        query: &ConnectionQuery,
        now: Timestamp,
    ) -> Self {
        let cron = Cron::parse(&schedule.spec.schedule, &schedule.spec.time_zone).ok();
        let next = cron
            .as_ref()
            .map(|cron| next_slots(schedule, cron, now, SHOWN_SLOTS));
        let template = &schedule.spec.template.spec;
        let response = ScheduleResponse::from(schedule);
        let (state, reason) = state(&response);
        let recent = response.recent_slots.iter().take(SHOWN_SLOTS);
        Self {
            state,
            reason,
            name: response.name,
            pattern: response.pattern,
            pattern_in_words: cron.as_ref().map(Cron::in_words),
            time_zone: response.time_zone,
            options: options(template.dry_run, template.delete_stale),
            deletes: template.delete_stale,
            is_dry_run: template.dry_run,
            failures: Some(response.consecutive_failures).filter(|count| *count > 1),
            recent: recent.map(|slot| recent_slot(slot, runs, query)).collect(),
            next: next
                .unwrap_or_default()
                .into_iter()
                .map(|slot| next_slot(slot, now))
                .collect(),
        }
    }
}

fn state(schedule: &ScheduleResponse) -> (&'static str, Option<String>) {
    if schedule.suspend {
        let suspended = words::suspension(schedule.suspend_reason.as_deref());
        return ("Suspended", Some(words::sentence(&suspended)));
    }
    match response::find_condition(&schedule.conditions, condition::READY) {
        Some(condition) if condition.status == "False" => (
            "Blocked",
            Some(format!("Blocked: {}", words::sentence(&condition.message))),
        ),
        _ => ("Active", None),
    }
}

fn options(dry_run: bool, delete_stale: bool) -> String {
    match (dry_run, delete_stale) {
        (true, true) => "Only plans, with the deletion of stale stations.",
        (true, false) => "Only plans, and changes nothing.",
        (false, true) => "Deletes stale stations.",
        (false, false) => "",
    }
    .to_owned()
}

fn recent_slot(
    slot: &SlotRecordResponse,
    runs: &HashMap<String, SyncResponse>,
    query: &ConnectionQuery,
) -> RecentSlot {
    let run = slot.sync.as_ref().and_then(|name| runs.get(name));
    let runs_query = || RunsQuery::of_connection(query.namespace.clone(), query.connection.clone());
    let (state, reason) = match (slot.outcome, run) {
        ("Ran", Some(run)) => (run_state(run), summary(run)),
        ("Ran", None) => {
            let sync = slot.sync.as_deref().unwrap_or("without a name");
            ("Ran", format!("Started the sync {sync}."))
        }
        ("Skipped", _) => ("Skipped", reason_in_words(slot)),
        _ => ("Missed", reason_in_words(slot)),
    };
    RecentSlot {
        time: slot.at,
        text: words::utc(slot.at),
        state,
        reason,
        address: run.map(|run| links::run(run.id, &runs_query(), None)),
    }
}

/// Why a slot started no sync.
fn reason_in_words(slot: &SlotRecordResponse) -> String {
    let sync = slot.sync.as_deref().unwrap_or("another sync");
    match slot.reason.as_str() {
        "RunActive" => format!("{sync} was still under way."),
        "Suspended" => "The schedule was suspended.".to_owned(),
        "ScheduleChanged" => "The schedule was changed before this slot was handled.".to_owned(),
        "NameTaken" => format!("The object {sync} has the name of the sync."),
        "RunRefused" => "The Kubernetes API rejected the sync.".to_owned(),
        "SlotMissed" => "The operator was not running in time.".to_owned(),
        other => format!("{other}."),
    }
}

fn next_slot(slot: SlotResponse, now: Timestamp) -> NextSlot {
    let starts_at = slot.starts_at.unwrap_or(slot.at);
    let delay = starts_at.duration_since(slot.at);
    let delayed =
        (!delay.is_zero()).then(|| format!("Starts {} later, to spread the load.", words::duration(delay)));
    let moved = match slot.offset_effect {
        Some("Moved") => Some("The clock skips its time when it is set forward."),
        Some("Merged") => Some("Several times are this one slot, because the clock is set forward."),
        Some("Repeated") => Some("The clock is set back, and shows this time again."),
        _ => None,
    };
    NextSlot {
        time: slot.at,
        text: words::utc(slot.at),
        ahead: words::ahead(starts_at.duration_since(now)),
        local: (!slot.local.ends_with(" UTC")).then_some(slot.local),
        notes: delayed.into_iter().chain(moved.map(str::to_owned)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::sync::TaranaSync;

    fn view(spec: &Value, status: &Value, runs: &HashMap<String, SyncResponse>) -> ScheduleView {
        let mut object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 4 * * *"}, "status": status});
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        let schedule = serde_json::from_value(object).unwrap();
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        ScheduleView::new(&schedule, runs, &ConnectionQuery::default(), now)
    }

    #[test]
    fn the_slots_of_a_schedule_are_in_words() {
        let record = |time: &str, outcome: &str, reason: &str, sync: &str| json!({"time": time, "outcome": outcome, "reason": reason, "sync": sync});
        let status = json!({"recentSlots": [
            record("2026-03-10T04:00:00Z", "Ran", "RunCreated", "nightly-2"),
            record("2026-03-09T04:00:00Z", "Skipped", "RunActive", "nightly-1"),
            record("2026-03-08T04:00:00Z", "Ran", "RunCreated", "deleted"),
            record("2026-03-07T04:00:00Z", "Missed", "SlotMissed", "x"),
            record("2026-03-06T04:00:00Z", "Skipped", "NewReason", "x"),
            record("2026-03-05T04:00:00Z", "Skipped", "Suspended", "x"),
        ]});
        let run = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": "nightly-2", "uid": "00000000-0000-0000-0000-000000000007"},
            "spec": {}, "status": {"phase": "Failed", "conditions": [{"type": "Finished", "status": "True", "reason": "R",
            "message": "the password is wrong", "lastTransitionTime": "2026-03-10T04:01:00Z"}]}});
        let run = SyncResponse::from(&serde_json::from_value::<TaranaSync>(run).unwrap());
        let view = view(
            &json!({}),
            &status,
            &HashMap::from([("nightly-2".to_owned(), run)]),
        );
        let recent: Vec<_> = view
            .recent
            .iter()
            .map(|slot| (slot.state, slot.reason.as_str()))
            .collect();
        assert_eq!(
            recent,
            [
                ("Failed", "The password is wrong."),
                ("Skipped", "nightly-1 was still under way."),
                ("Ran", "Started the sync deleted."),
                ("Missed", "The operator was not running in time."),
                ("Skipped", "NewReason."),
            ]
        );
        assert_eq!(
            view.recent[0].address.as_deref(),
            Some("/admin/coverage/runs/00000000-0000-0000-0000-000000000007")
        );
        assert_eq!(view.pattern_in_words.as_deref(), Some("Every day at 04:00"));
        let first = &view.next[0];
        assert_eq!(
            (first.text.as_str(), first.ahead.as_str(), &first.local),
            ("2026-03-11 04:00 UTC", "in 16 h", &None)
        );
        assert_eq!(view.next.len(), 5);
    }

    #[test]
    fn the_next_slots_name_what_is_unusual() {
        // The clock in Berlin is set forward from 02:00 to 03:00 on 29 March.
        let spec = json!({"schedule": "30 2 29 3 *", "timeZone": "Europe/Berlin"});
        let view = view(&spec, &json!({}), &HashMap::new());
        let first = &view.next[0];
        assert_eq!(first.local.as_deref(), Some("2026-03-29 03:00 CEST"));
        assert_eq!(first.notes, ["The clock skips its time when it is set forward."]);
        assert_eq!(view.time_zone, "Europe/Berlin");
    }

    #[test]
    fn a_state_has_its_reason() {
        let none = HashMap::new();
        let blocked = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "InvalidSchedule", "message": "`x` is not known",
            "lastTransitionTime": "2026-03-10T04:01:00Z"}]});
        for (spec, status, state, reason) in [
            (json!({}), json!({}), "Active", None),
            (
                json!({"suspend": true, "suspendReason": "maintenance"}),
                json!({}),
                "Suspended",
                Some("Suspended: Maintenance."),
            ),
            (
                json!({"suspend": true}),
                json!({}),
                "Suspended",
                Some("Suspended, without a reason."),
            ),
            (
                json!({"schedule": "x"}),
                blocked,
                "Blocked",
                Some("Blocked: `x` is not known."),
            ),
        ] {
            let view = view(&spec, &status, &none);
            assert_eq!((view.state, view.reason.as_deref()), (state, reason));
        }
    }
}
