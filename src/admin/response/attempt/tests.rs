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
