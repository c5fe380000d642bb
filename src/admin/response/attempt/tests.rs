use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::station::RunCounts;

fn row(status: &str, outcome: Option<&str>, attempt: i32, errors: Value) -> LoggedRun {
    let at = |second: i64| Timestamp::from_second(second).ok();
    LoggedRun {
        id: Uuid::nil(),
        namespace: None,
        name: None,
        connection: None,
        status: status.to_owned(),
        outcome: outcome.map(str::to_owned),
        trigger_type: "manual".to_owned(),
        triggered_by: None,
        actor: None,
        dry_run: false,
        delete_stale: false,
        counts: RunCounts::default(),
        errors,
        attempt,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: (status != "pending").then(|| at(10)).flatten(),
        completed_at: outcome.and_then(|_| at(99)),
        duration_ms: None,
        reason: outcome.map(|_| "End".to_owned()),
        message: None,
        reading: None,
        spans: Vec::new(),
    }
}

fn status(object: &Value) -> TaranaSyncStatus {
    serde_json::from_value(object.clone()).unwrap()
}

/// One line per attempt: number, state, start, end, step and reason.
fn lines(list: &AttemptList) -> Vec<String> {
    let seconds = |t: Option<Timestamp>| t.map_or("-".to_owned(), |t| t.as_second().to_string());
    let line = |a: &AttemptResponse| {
        format!(
            "{} {:?} {} {} {} {}",
            a.number,
            a.state,
            seconds(a.started_at),
            seconds(a.ended_at),
            a.step.unwrap_or("-"),
            a.reason.as_deref().unwrap_or("-")
        )
    };
    list.items.iter().map(line).collect()
}

fn failed(number: i32, second: i64) -> Value {
    json!({"message": format!("attempt {number}: ApiUnavailable: m"), "timestamp": format!("1970-01-01T00:00:{second}Z")})
}

#[test]
fn attempts_are_derived_from_the_row() {
    let cases: [(LoggedRun, &[&str]); 7] = [
        // The column has 1 before the first attempt.
        (row("pending", None, 1, json!([])), &[]),
        (row("running", None, 1, json!([])), &["1 Running 10 - - -"]),
        (
            row("running", None, 2, json!([failed(1, 20)])),
            &["1 Failed 10 20 - ApiUnavailable", "2 Running - - - -"],
        ),
        (
            row("completed", Some("completed"), 3, json!([failed(1, 20)])),
            // The end of the second one was not recorded.
            &[
                "1 Failed 10 20 - ApiUnavailable",
                "2 Failed - - - -",
                "3 Completed - 99 - End",
            ],
        ),
        (
            row("completed", Some("completed"), 1, json!([failed(1, 20)])),
            &["1 Completed 10 99 - End"],
        ),
        // Cancelled during the pause after the first attempt.
        (
            row("failed", Some("cancelled"), 1, json!([failed(1, 20)])),
            &["1 Failed 10 20 - ApiUnavailable"],
        ),
        (
            row("failed", Some("cancelled"), 2, json!([failed(1, 20)])),
            &["1 Failed 10 20 - ApiUnavailable", "2 Cancelled - 99 - End"],
        ),
    ];
    for (row, expected) in cases {
        assert_eq!(lines(&AttemptList::of(Some(&row), None)), expected, "{row:?}");
    }
}

#[test]
fn the_status_adds_what_the_row_lacks() {
    let waiting = status(&json!({
        "phase": "Running", "attempt": 2, "nextAttemptTime": "1970-01-01T00:01:00Z",
        "lastFailure": {"time": "1970-01-01T00:00:40Z", "attempt": 2, "step": "Open", "reason": "DatabaseUnavailable", "message": "m"}}));
    let expected = ["1 Failed - - - -", "2 Failed - 40 Open DatabaseUnavailable"];
    let list = AttemptList::of(None, Some(&waiting));
    assert_eq!(lines(&list), expected);
    assert_eq!(list.next_attempt_at, Timestamp::from_second(60).ok());

    let row = row("running", None, 2, json!([failed(1, 20), failed(2, 30)]));
    let list = AttemptList::of(Some(&row), Some(&waiting));
    let expected = [
        "1 Failed 10 20 - ApiUnavailable",
        "2 Failed - 30 Open ApiUnavailable",
    ];
    assert_eq!(lines(&list), expected);
    assert_eq!(lines(&AttemptList::of(None, None)), [""; 0]);
}

#[test]
fn spans_give_starts_steps_and_waits() {
    let spans = json!([
        {"kind": "wait", "cause": "run", "startedAt": "1970-01-01T00:00:01Z", "endedAt": "1970-01-01T00:00:10Z", "detail": "d"},
        {"kind": "attempt", "attempt": 1, "startedAt": "1970-01-01T00:00:11Z", "endedAt": "1970-01-01T00:00:20Z", "failed": true},
        {"kind": "step", "attempt": 1, "step": "Fetch", "startedAt": "1970-01-01T00:00:12Z", "endedAt": "1970-01-01T00:00:20Z", "failed": true, "pages": 3},
        {"kind": "wait", "cause": "backoff", "startedAt": "1970-01-01T00:00:20Z", "endedAt": "1970-01-01T00:00:30Z", "omitted": 2},
        {"kind": "attempt", "attempt": 2, "startedAt": "1970-01-01T00:00:30Z"},
        {"kind": "wait", "cause": "lock", "attempt": 2, "startedAt": "1970-01-01T00:00:40Z", "endedAt": "1970-01-01T00:00:41Z"},
        {"kind": "step", "attempt": 2, "step": "Apply", "startedAt": "1970-01-01T00:00:35Z"},
    ]);
    let spans: Vec<Span> = serde_json::from_value(spans).unwrap();
    let with_spans = |row: LoggedRun| LoggedRun {
        spans: spans.clone(),
        ..row
    };
    let errors = json!([failed(1, 20)]);
    let list = AttemptList::of(
        Some(&with_spans(row("failed", Some("failed"), 2, errors.clone()))),
        None,
    );
    let expected = ["1 Failed 10 20 Fetch ApiUnavailable", "2 Failed 30 99 Apply End"];
    assert_eq!(lines(&list), expected);
    assert_eq!((list.waits.len(), list.omitted), (2, Some(2)));
    let first = &list.items[0].steps[0];
    assert_eq!((first.pages, first.failed), (Some(3), true));
    // What lasted ended with the run.
    let second = &list.items[1];
    assert_eq!(
        (second.steps[0].ended_at, second.steps[0].failed),
        (Timestamp::from_second(99).ok(), true)
    );
    assert_eq!(second.waits.len(), 1);

    let list = AttemptList::of(Some(&with_spans(row("running", None, 2, errors.clone()))), None);
    let second = &list.items[1];
    assert_eq!(
        (second.ended_at, second.steps[0].ended_at, second.steps[0].failed),
        (None, None, false)
    );
    let list = AttemptList::of(
        Some(&with_spans(row("completed", Some("completed"), 2, errors))),
        None,
    );
    assert_eq!(lines(&list)[1], "2 Completed 30 99 - End");
    assert!(!list.items[1].steps[0].failed);
}

#[test]
fn a_run_without_spans_has_the_fields_it_had_before() {
    let list = AttemptList::of(Some(&row("completed", Some("completed"), 1, json!([]))), None);
    let fields = json!({"items": [{"number": 1, "state": "Completed", "startedAt": "1970-01-01T00:00:10Z",
        "endedAt": "1970-01-01T00:01:39Z", "reason": "End"}]});
    assert_eq!(serde_json::to_value(&list).unwrap(), fields);
}

#[test]
fn a_pending_run_shows_what_it_waits_for() {
    let object = |phase: &str| {
        let status = json!({"phase": phase, "conditions": [{"type": "Reconciling", "status": "True", "reason": "ConnectionSuspended",
            "message": "m", "lastTransitionTime": "1970-01-01T00:00:09Z"}]});
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": "r", "creationTimestamp": "1970-01-01T00:00:07Z"}, "spec": {}, "status": status});
        serde_json::from_value::<TaranaSync>(object).unwrap()
    };
    let list = AttemptList::of(None, None).with_pending_wait(Some(&object("Pending")));
    let expected = json!([{"cause": "Suspension", "startedAt": "1970-01-01T00:00:07Z", "detail": "m"}]);
    assert_eq!(serde_json::to_value(&list.waits).unwrap(), expected);
    let running = AttemptList::of(None, None).with_pending_wait(Some(&object("Running")));
    assert_eq!(running.waits, []);
}
