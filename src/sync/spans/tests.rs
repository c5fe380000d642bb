use std::time::Duration;

use super::*;

/// A recorder whose clock shows `millis` at `start`.
fn recorder(start: Instant, millis: i64) -> SpanRecorder {
    SpanRecorder::new(SteadyClock {
        instant: start,
        time: time(millis),
    })
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn row(fence: i64, at: i64, heartbeat_at: Option<i64>, spans: Vec<Span>) -> OpenedRow {
    OpenedRow {
        fence,
        spans,
        heartbeat_at: heartbeat_at.map(time),
        at: time(at),
    }
}

/// One line per span: kind, attempt, step or cause, start, end and failure.
fn lines(recorder: &SpanRecorder) -> Vec<String> {
    let line = |s: &Span| {
        let cause = s.cause.map(|cause| format!("{cause:?}"));
        let what = s.step.clone().or(cause).unwrap_or_default();
        let end = s.ended_at.map_or("-".into(), |t| t.as_millisecond().to_string());
        let failed = if s.failed { " failed" } else { "" };
        let (attempt, start) = (s.attempt.unwrap_or_default(), s.started_at.as_millisecond());
        format!("{:?} {attempt} {what} {start} {end}{failed}", s.kind)
    };
    recorder.spans().iter().map(line).collect()
}

fn opening(start: Instant, (attempt, resumed): (i32, bool), began: u64, now: u64) -> Opening {
    Opening {
        attempt,
        resumed,
        began: start + Duration::from_millis(began),
        now: start + Duration::from_millis(now),
    }
}

#[test]
fn waits_before_the_row_get_the_time_of_the_database() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    // The operator's clock is an hour ahead.
    let mut spans = recorder(at(1000), 3_601_000);
    spans.wait(WaitCause::Run, "waits for a", at(0), at(1000));
    spans.wait(WaitCause::Run, "waits for b", at(0), at(1500));
    spans.wait(WaitCause::Connection, "not ready", at(0), at(2000));
    assert_eq!(spans.fenced(), None, "there is no row to write");
    spans.open(
        &row(1, 3000, None, vec![]),
        opening(start, (1, false), 2990, 3000),
    );
    spans.begin_step(1, "Fetch", at(3010));
    let pause = [(at(3100), at(3300))];
    spans.read(1, 2, &pause, at(3200));
    assert_eq!(
        spans.spans().last().and_then(|pause| pause.until),
        Some(time(3300))
    );
    spans.read(1, 4, &[(at(0), at(5)), (at(3100), at(3400))], at(3500));
    spans.end_step(false, at(4000));
    spans.begin_step(1, "Apply", at(4000));
    spans.waited_for_lock(1, at(4000), at(4700));
    let expected = [
        "Wait 0 Run 0 2000",
        "Wait 0 Connection 2000 2990",
        "Attempt 1  2990 -",
        "Step 1 Open 2990 3000",
        "Step 1 Fetch 3010 4000",
        "Wait 1 Throttling 3100 3400",
        "Step 1 Apply 4000 -",
        "Wait 1 Lock 4000 4700",
    ];
    assert_eq!(lines(&spans), expected);
    let recorded = spans.spans();
    assert_eq!(
        (recorded[0].detail.as_deref(), recorded[4].pages),
        (Some("waits for b"), Some(4))
    );
    assert_eq!(spans.fenced().map(|(fence, _)| fence), Some(1));
}

#[test]
fn a_failed_attempt_is_followed_by_a_wait_until_the_next_one() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut spans = recorder(start, 0);
    // The database was unavailable, so that the row was opened by the second attempt only.
    spans.fail_to_open(1, at(0), at(100));
    spans.back_off(WaitCause::Backoff, SignedDuration::from_millis(900), "m", at(100));
    spans.open(
        &row(7, 5000, None, vec![]),
        opening(start, (2, false), 1000, 1000),
    );
    spans.begin_step(2, "Fetch", at(1100));
    spans.back_off(WaitCause::Throttling, SignedDuration::from_secs(2), "m", at(1500));
    // This process is still the owner, so that what the row lacks is not lost.
    spans.open(
        &row(8, 7500, Some(5000), vec![]),
        opening(start, (3, false), 3500, 3500),
    );
    let expected = [
        "Attempt 1  4000 4100 failed",
        "Step 1 Open 4000 4100 failed",
        "Wait 0 Backoff 4100 5000",
        "Attempt 2  5000 5500 failed",
        "Step 2 Open 5000 5000",
        "Step 2 Fetch 5100 5500 failed",
        "Wait 0 Throttling 5500 7500",
        "Attempt 3  7500 -",
        "Step 3 Open 7500 7500",
    ];
    assert_eq!(lines(&spans), expected);
    assert_eq!(spans.spans()[6].until, Some(time(7500)));
}

#[test]
fn a_resumed_attempt_continues_and_shows_the_interruption() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut former = recorder(start, 0);
    former.open(&row(1, 0, None, vec![]), opening(start, (1, false), 0, 0));
    former.begin_step(1, "Fetch", at(100));
    let mut successor = recorder(start, 0);
    successor.wait(WaitCause::Connection, "being verified", at(9000), at(9000));
    let opened = row(2, 10_000, Some(8000), former.spans());
    successor.open(&opened, opening(start, (1, true), 10_000, 10_000));
    successor.begin_step(1, "Fetch", at(10_000));
    let expected = [
        "Attempt 1  0 -",
        "Step 1 Open 0 0",
        "Step 1 Fetch 100 8000",
        "Wait 0 Connection 9000 10000",
        "Wait 1 Interruption 8000 10000",
        "Step 1 Fetch 10000 -",
    ];
    assert_eq!(lines(&successor), expected);

    // The former owner comes back after another one: its own spans are outdated.
    former.open(
        &row(3, 20_000, Some(19_000), successor.spans()),
        opening(start, (1, true), 20_000, 20_000),
    );
    assert_eq!(lines(&former)[..5], expected[..5]);
    assert_eq!(
        lines(&former)[5..],
        ["Step 1 Fetch 10000 19000", "Wait 1 Interruption 19000 20000"]
    );
}

#[test]
fn clocks_that_differ_give_no_negative_spans() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut spans = recorder(start, 1_000_000);
    let mut ahead = Span::new(SpanKind::Step, Some(1), time(500_000));
    ahead.step = Some("Fetch".to_owned());
    // The heartbeat and the span in the row are in the future of the database, whose clock was set back.
    spans.open(
        &row(5, 1000, Some(600_000), vec![ahead]),
        opening(start, (1, true), 1000, 1000),
    );
    spans.begin_step(1, "Fetch", at(500));
    spans.end_step(false, at(400));
    for span in spans.spans() {
        assert!(span.ended_at.is_none_or(|end| end >= span.started_at), "{span:?}");
    }
}

#[test]
fn an_attempt_that_is_opened_again_is_the_same_attempt() {
    let start = Instant::now();
    let mut spans = recorder(start, 0);
    spans.open(&row(1, 100, None, vec![]), opening(start, (1, false), 90, 100));
    spans.open(
        &row(2, 300, Some(100), vec![]),
        opening(start, (1, false), 290, 300),
    );
    let expected = ["Attempt 1  90 -", "Step 1 Open 90 100", "Step 1 Open 290 300"];
    assert_eq!(lines(&spans), expected);
}

#[test]
fn a_pause_continues_after_a_wait_for_something_else() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut spans = recorder(start, 0);
    spans.continue_back_off(SignedDuration::from_millis(500), at(10));
    assert!(
        spans.is_empty(),
        "nothing is known of a run that another process opened"
    );
    spans.open(&row(1, 100, None, vec![]), opening(start, (1, false), 100, 100));
    spans.back_off(WaitCause::Throttling, SignedDuration::from_secs(2), "m", at(200));
    spans.continue_back_off(SignedDuration::from_secs(1), at(300));
    spans.wait(WaitCause::Connection, "m", at(400), at(400));
    spans.continue_back_off(SignedDuration::from_millis(1500), at(700));
    let waits: Vec<String> = lines(&spans)
        .into_iter()
        .filter(|line| line.starts_with("Wait"))
        .collect();
    assert_eq!(
        waits,
        [
            "Wait 0 Throttling 200 400",
            "Wait 0 Connection 400 700",
            "Wait 0 Backoff 700 -"
        ]
    );
    assert_eq!(spans.spans().last().and_then(|wait| wait.until), Some(time(2200)));
}
