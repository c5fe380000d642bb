use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn wait(cause: WaitCauseResponse, from: i64, to: Option<i64>) -> WaitResponse {
    WaitResponse {
        cause,
        started_at: at(from),
        ended_at: to.map(at),
        until: None,
        detail: None,
    }
}

fn step(name: &str, from: i64, to: Option<i64>, failed: bool) -> StepResponse {
    StepResponse {
        step: name.to_owned(),
        started_at: at(from),
        ended_at: to.map(at),
        failed,
        pages: None,
    }
}

fn attempt(number: i32, state: AttemptState, from: Option<i64>, to: Option<i64>) -> AttemptResponse {
    AttemptResponse {
        number,
        state,
        started_at: from.map(at),
        ended_at: to.map(at),
        step: None,
        reason: None,
        message: None,
        steps: Vec::new(),
        waits: Vec::new(),
    }
}

fn list(items: Vec<AttemptResponse>, waits: Vec<WaitResponse>) -> AttemptList {
    AttemptList {
        items,
        next_attempt_at: None,
        waits,
        omitted: None,
    }
}

/// One line per row: name, kind, left edge, width, offset and duration.
fn lines(requested: i64, end: i64, list: &AttemptList) -> Vec<String> {
    let waterfall = Waterfall::new(at(requested), at(end), list).unwrap();
    let line = |r: &Row| {
        format!(
            "{}|{}|{}+{}|{}|{}",
            r.name, r.kind, r.x, r.width, r.offset, r.duration
        )
    };
    waterfall.rows.iter().map(line).collect()
}

#[test]
fn every_period_has_its_place_in_the_order_of_time() {
    let mut first = attempt(1, AttemptState::Failed, Some(2000), Some(4000));
    first.steps = vec![
        step("Open", 2000, Some(2000), false),
        step("Fetch", 2000, Some(4000), true),
    ];
    first.waits = vec![wait(WaitCauseResponse::Throttling, 2500, Some(3500))];
    let mut second = attempt(2, AttemptState::Completed, Some(6000), Some(10_000));
    second.steps = vec![
        step("Fetch", 6000, Some(9000), false),
        step("Apply", 9000, Some(10_000), false),
    ];
    let waits = vec![
        wait(WaitCauseResponse::Sync, 0, Some(2000)),
        wait(WaitCauseResponse::Backoff, 4000, Some(6000)),
    ];
    let expected = [
        "Wait for another sync|wait|0+200|0 ms|2.0 s",
        "Attempt 1 failed|failed|200+200|2.0 s|2.0 s",
        "Claim the log row|work|200+6|2.0 s|0 ms",
        "Read the listing: failed|failed|200+200|2.0 s|2.0 s",
        "Wait: the vendor asked for a pause|wait|250+100|2.5 s|1.0 s",
        "Wait before the next attempt|wait|400+200|4.0 s|2.0 s",
        "Attempt 2|work|600+400|6.0 s|4.0 s",
        "Read the listing|work|600+300|6.0 s|3.0 s",
        "Write the changes|work|900+100|9.0 s|1.0 s",
    ];
    assert_eq!(lines(0, 10_000, &list(vec![first, second], waits)), expected);
}

#[test]
fn what_lasts_ends_now_and_what_is_short_is_visible() {
    let mut running = attempt(1, AttemptState::Running, Some(1000), None);
    running.steps = vec![
        step("Open", 1000, Some(1001), false),
        step("Fetch", 4_999_999, None, false),
    ];
    let expected = [
        "Attempt 1|work|0+1000|1.0 s|1 h 23 min so far",
        "Claim the log row|work|0+6|1.0 s|1 ms",
        // At the end of the axis, it is still visible.
        "Read the listing|work|994+6|1 h 23 min|1 ms so far",
    ];
    assert_eq!(lines(0, 5_000_000, &list(vec![running], vec![])), expected);
}

#[test]
fn clocks_that_differ_lengthen_the_axis_and_give_no_negative_bars() {
    let early = attempt(1, AttemptState::Completed, Some(-1000), Some(-500));
    let late = wait(WaitCauseResponse::Other, 2000, Some(3000));
    let backwards = wait(WaitCauseResponse::Lock, 1000, Some(500));
    let expected = [
        "Attempt 1|work|0+125|0 ms|500 ms",
        "Wait for a lock in the database|wait|500+6|2.0 s|0 ms",
        "Wait|wait|750+250|3.0 s|1.0 s",
    ];
    assert_eq!(lines(0, 100, &list(vec![early], vec![late, backwards])), expected);

    // A run that took no time, and one that began after its end.
    let instant = attempt(1, AttemptState::Completed, Some(0), Some(0));
    assert_eq!(
        lines(0, 0, &list(vec![instant.clone()], vec![])),
        ["Attempt 1|work|0+6|0 ms|0 ms"]
    );
    assert_eq!(
        lines(9, 5, &list(vec![instant], vec![])),
        ["Attempt 1|work|0+6|0 ms|0 ms"]
    );
}

#[test]
fn attempts_without_a_recorded_start_have_no_bar() {
    let items = vec![
        attempt(1, AttemptState::Failed, Some(0), Some(10)),
        attempt(2, AttemptState::Failed, None, Some(20)),
    ];
    assert_eq!(lines(0, 20, &list(items, vec![])).len(), 1);
    let unknown = list(vec![attempt(1, AttemptState::Failed, None, None)], vec![]);
    assert_eq!(Waterfall::new(at(0), at(5), &unknown), None);
    assert_eq!(Waterfall::new(at(0), at(5), &list(vec![], vec![])), None);
}

#[test]
fn many_periods_stay_inside_the_drawing() {
    let waits = (0..500).map(|n| wait(WaitCauseResponse::Interruption, n * 7, Some(n * 7 + 3)));
    let waterfall = Waterfall::new(at(0), at(3500), &list(vec![], waits.collect())).unwrap();
    assert_eq!(waterfall.rows.len(), 500);
    for row in &waterfall.rows {
        assert!(
            row.width >= MIN_WIDTH && row.x >= 0 && row.x + row.width <= WIDTH,
            "{row:?}"
        );
    }
    assert!(waterfall.rows.is_sorted_by_key(|row| row.x));
}
