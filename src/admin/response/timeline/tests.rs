use serde_json::{Value, json};

use super::*;
use crate::station::RunCounts;

const UID: &str = "00000000-0000-0000-0000-000000000001";

fn schedule(spec: &Value, conditions: &Value) -> TaranaSyncSchedule {
    let mut spec = spec.clone();
    spec["schedule"] = json!("@daily");
    serde_json::from_value(json!({
        "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSyncSchedule", "metadata": {"name": "nightly", "uid": UID},
        "spec": spec, "status": {"conditions": conditions}}))
    .unwrap()
}

fn ready(status: &str, reason: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": "moving (…)",
            "lastTransitionTime": "2026-01-01T00:00:05Z"}])
}

fn event_of(uid: &str, reason: &str, series: Option<&str>) -> Event {
    let series = series.map(|time| json!({"count": 2, "lastObservedTime": time}));
    serde_json::from_value(json!({
        "metadata": {"name": "e"}, "reason": reason, "note": "moving (…)", "eventTime": "2026-01-01T00:00:05.123456Z",
        "regarding": {"kind": "TaranaSyncSchedule", "uid": uid}, "series": series}))
    .unwrap()
}

fn types(entries: &[TimelineEntry]) -> Vec<(TimelineType, String)> {
    entries.iter().map(|e| (e.type_, e.time.to_string())).collect()
}

#[test]
fn runs_have_a_message_with_what_they_did() {
    let moment = |is_end, outcome: &str, trigger_type: &str, message: Option<&str>| RunMoment {
        at: Timestamp::UNIX_EPOCH,
        is_end,
        run: Uuid::nil(),
        name: None,
        outcome: outcome.to_owned(),
        trigger_type: trigger_type.to_owned(),
        actor: Some("anna".to_owned()),
        dry_run: trigger_type == "cron",
        counts: RunCounts {
            fetched: 7,
            ..RunCounts::default()
        },
        reason: Some("ApiUnavailable".to_owned()),
        message: message.map(str::to_owned),
    };
    let cases = [
        (
            moment(false, "failed", "manual", Some("m")),
            TimelineType::SyncStarted,
            "requested",
        ),
        (
            moment(true, "completed", "cron", Some("withheld")),
            TimelineType::SyncCompleted,
            "scheduled dry run: 7 fetched, 0 inserted, 0 updated, 0 deleted, 0 withheld, 0 skipped: withheld",
        ),
        (
            moment(true, "cancelled", "manual", None),
            TimelineType::SyncCancelled,
            "requested",
        ),
        // Rows of other programs have no outcome, and may have any status.
        (
            moment(true, "failed", "manual", Some("m")),
            TimelineType::SyncFailed,
            "requested: ApiUnavailable: m",
        ),
    ];
    for (moment, type_, message) in cases {
        let entry = TimelineEntry::from(moment);
        assert_eq!((entry.type_, entry.message.as_str()), (type_, message));
        assert_eq!(entry.actor.as_deref(), Some("anna"));
    }
}

#[test]
fn spec_changes_name_the_field_manager_and_its_fields() {
    let manager = |name: &str, time: &str, fields: Value| json!({"manager": name, "operation": "Update", "time": time, "fieldsV1": fields});
    let spec = json!({"f:spec": {".": {}, "f:suspend": {}, "f:schedule": {}}});
    let metadata = json!({"name": "nightly", "uid": UID, "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [
        manager("kubectl-create", "2026-01-01T00:00:00Z", spec.clone()),
        manager("kubectl-edit", "2026-01-02T00:00:00Z", spec),
        manager("operator", "2026-01-03T00:00:00Z", json!({"f:status": {"f:conditions": {}}})),
        manager("empty", "2026-01-03T00:00:00Z", json!({"f:spec": {".": {}}})),
        {"manager": "without time"}]});
    let metadata: ObjectMeta = serde_json::from_value(metadata).unwrap();
    let entries = spec_changes(TimelineKind::Schedule, &metadata);
    let expected = [
        (TimelineType::Created, "2026-01-01T00:00:00Z".to_owned()),
        (TimelineType::SpecChanged, "2026-01-02T00:00:00Z".to_owned()),
    ];
    assert_eq!(types(&entries), expected);
    assert_eq!(
        entries[1].message,
        "kubectl-edit wrote the object; of its spec it set: schedule, suspend"
    );
    assert_ne!(entries[0].order, entries[1].order);
    assert_eq!(spec_changes(TimelineKind::Schedule, &ObjectMeta::default()), []);
}

#[test]
fn a_suspension_comes_from_its_event_or_else_from_the_condition() {
    let suspended = schedule(&json!({"suspend": true}), &ready("False", "Suspended"));
    let by_condition = suspension(&suspended, &[]).unwrap();
    assert_eq!(
        (
            by_condition.time.to_string().as_str(),
            by_condition.message.as_str()
        ),
        ("2026-01-01T00:00:05Z", "moving (…)")
    );
    let by_event = event(&event_of(UID, "Suspended", None), [&suspended]);
    let at = "2026-01-01T00:00:05.123456Z".to_owned();
    assert_eq!(types(&by_event), [(TimelineType::ScheduleSuspended, at.clone())]);
    assert_eq!(suspension(&suspended, &by_event), None);

    let resumed = schedule(&json!({}), &ready("True", "Scheduled"));
    assert_eq!(suspension(&resumed, &[]), None);
    let stalled = schedule(&json!({"suspend": true}), &ready("False", "InvalidSchedule"));
    assert_eq!(suspension(&stalled, &[]), None);

    let last = "2026-01-01T00:03:00.000001Z";
    let twice = event(&event_of(UID, "Resumed", Some(last)), [&resumed]);
    let expected = [
        (TimelineType::ScheduleResumed, at),
        (TimelineType::ScheduleResumed, last.to_owned()),
    ];
    assert_eq!(types(&twice), expected);
    assert_eq!(event(&event_of(UID, "Scheduled", None), [&resumed]), []);
    assert_eq!(event(&event_of("other", "Resumed", None), [&resumed]), []);
}

#[test]
fn an_approval_belongs_to_the_run_that_carries_it() {
    let run = |approved: Option<i32>| -> TaranaSync {
        let spec = json!({"deleteStale": true, "approvedDeletes": approved, "trigger": {"type": "Api", "actor": "anna"}});
        let metadata = json!({"name": "run", "uid": UID, "creationTimestamp": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({
            "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": metadata, "spec": spec}))
        .unwrap()
    };
    let entry = approval(&run(Some(3))).unwrap();
    assert_eq!(
        (
            entry.actor.as_deref(),
            entry.message.as_str(),
            entry.object.id.to_string().as_str()
        ),
        (Some("anna"), "up to 3 deletions approved", UID)
    );
    assert_eq!((approval(&run(None)), approval(&run(Some(0)))), (None, None));
}
