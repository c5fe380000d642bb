//! Pure: the result of a run, from its log row, and its final Events.

use super::machine::Termination;
use super::status::RunResult;
use crate::api::condition;
use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync};
use crate::fault::Fault;
use crate::notify::EventSpec;
use crate::station::RunCounts;
use crate::store::{ClosedRow, Outcome, SweptEnd};

/// What a run is about to do, for the `Started` Event.
pub(super) fn describe_intent(sync: &TaranaSync) -> String {
    let stale = if sync.spec.delete_stale {
        ", stale rows are deleted within the guard"
    } else {
        ""
    };
    let what = if sync.spec.dry_run {
        "plans only (dry run)"
    } else {
        "reads the listing and applies it"
    };
    format!(
        "{what} on TaranaConnection {}{stale}",
        sync.spec.connection_ref.name
    )
}

/// The result according to a log row that this process did not close.
pub(super) fn from_row(row: &ClosedRow, sync: &TaranaSync) -> RunResult {
    let reason = row.reason.as_deref().and_then(Reason::parse);
    let (phase, reason) = match row.outcome {
        Outcome::Completed => (Phase::Completed, Reason::Completed),
        Outcome::Cancelled => (Phase::Cancelled, Reason::Cancelled),
        Outcome::Failed => (Phase::Failed, reason.unwrap_or(Reason::Abandoned)),
    };
    let completed = phase == Phase::Completed;
    let logged = row.message.clone();
    let (message, withheld) = if completed {
        (
            summary(&row.counts, sync.spec.dry_run),
            logged.filter(|_| row.counts.withheld > 0),
        )
    } else {
        (
            logged.unwrap_or_else(|| "another program closed the log row".to_owned()),
            None,
        )
    };
    let counts = completed.then_some(row.counts);
    RunResult {
        phase,
        reason,
        message,
        counts,
        duration_ms: Some(row.duration_ms),
        reading: row.reading.clone(),
        withheld,
    }
}

/// The result after this process closed the row: the termination, unless the run had been committed before.
pub(super) fn from_close(row: &ClosedRow, termination: &Termination, sync: &TaranaSync) -> RunResult {
    if row.outcome == Outcome::Completed {
        return from_row(row, sync);
    }
    RunResult {
        duration_ms: Some(row.duration_ms),
        ..without_row(termination)
    }
}

/// The result of a termination whose row could not be closed.
pub(super) fn without_row(termination: &Termination) -> RunResult {
    RunResult {
        phase: termination.phase,
        reason: termination.reason,
        message: termination.message.clone(),
        counts: None,
        duration_ms: None,
        reading: None,
        withheld: None,
    }
}

/// How the message of a run of unknown outcome begins. The reason for it follows in parentheses, then the message of the end.
const OUTCOME_UNKNOWN: &str = "whether its changes were committed is unknown until its log row can be read";

/// The result of a termination whose row could not be read although the run may have committed. The sweeper corrects it.
pub(super) fn of_unknown_outcome(termination: &Termination, fault: &Fault) -> RunResult {
    RunResult {
        message: format!("{OUTCOME_UNKNOWN} ({}): {}", fault.reason, termination.message),
        ..without_row(termination)
    }
}

/// Whether the object says that its outcome is unknown.
pub(super) fn has_unknown_outcome(sync: &TaranaSync) -> bool {
    let conditions = sync.status.as_ref().map(|status| &status.conditions);
    let finished = conditions.and_then(|conditions| condition::find(conditions, condition::FINISHED));
    finished.is_some_and(|finished| finished.message.starts_with(OUTCOME_UNKNOWN))
}

/// The message of the end, without that its outcome was unknown.
fn known_part(message: &str) -> &str {
    let unknown = message.strip_prefix(OUTCOME_UNKNOWN);
    let known = unknown.and_then(|rest| rest.split_once("): "));
    known.map_or(message, |(_, known)| known)
}

/// How the row of a finished run is closed that was left open: as its object says. A row that is still open was not committed.
pub(super) fn swept(sync: &TaranaSync) -> SweptEnd {
    let status = sync.status.clone().unwrap_or_default();
    let finished = condition::find(&status.conditions, condition::FINISHED);
    let is_cancelled = status.phase == Phase::Cancelled;
    let reason = finished.and_then(|c| Reason::parse(&c.reason));
    SweptEnd {
        outcome: if is_cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Failed
        },
        reason: reason
            .filter(|_| status.phase != Phase::Completed)
            .unwrap_or(Reason::Abandoned),
        message: finished.map_or_else(String::new, |c| known_part(&c.message).to_owned()),
    }
}

/// The Events that are published at the end of a run.
pub(super) fn final_events(sync: &TaranaSync) -> Vec<EventSpec> {
    let status = sync.status.clone().unwrap_or_default();
    let (reason, message) = condition::find(&status.conditions, condition::FINISHED)
        .map_or((String::new(), String::new()), |c| {
            (c.reason.clone(), c.message.clone())
        });
    let mut events = Vec::new();
    let withheld =
        condition::find(&status.conditions, condition::DELETES_WITHHELD).filter(|c| c.status == "True");
    // At most one warning: each Event is a write, and the last one contains the counts.
    if let Some(withheld) = withheld {
        events.push(EventSpec::warning(
            Reason::DeletesWithheld,
            withheld.message.clone(),
        ));
    } else if let Some(counts) = status.counts.filter(|c| c.skipped > 0) {
        events.push(EventSpec::warning(
            Reason::RecordsSkipped,
            format!(
                "{} of {} records could not be used: see errors in tarana_sync_logs",
                counts.skipped, counts.fetched
            ),
        ));
    }
    events.push(match status.phase {
        Phase::Completed => EventSpec::normal(Reason::Completed, message),
        Phase::Cancelled => EventSpec::normal(Reason::Cancelled, message),
        _ => EventSpec::warning(Reason::Failed, format!("{reason}: {message}")),
    });
    events
}

/// What was done, in one line.
fn summary(c: &RunCounts, dry_run: bool) -> String {
    let would = if dry_run {
        "dry run, nothing was changed: "
    } else {
        ""
    };
    let kept = match c.kept_stale() {
        0 => String::new(),
        kept => format!(", {kept} stale rows kept because deleteStale is not set"),
    };
    format!(
        "{would}{} fetched, {} new, {} changed, {} unchanged, {} deleted, {} withheld, {} skipped{kept}",
        c.fetched, c.inserted, c.updated, c.unchanged, c.deleted, c.withheld, c.skipped
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sync::TaranaSyncSpec;
    use crate::sync::status::StatusBuilder;
    use k8s_openapi::jiff::Timestamp;

    fn closed_row(outcome: Outcome, reason: &str, message: &str) -> ClosedRow {
        let counts = RunCounts {
            fetched: 9,
            withheld: 2,
            ..RunCounts::default()
        };
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        ClosedRow {
            outcome,
            counts,
            duration_ms: 7,
            reason,
            message,
            reading: None,
            completed_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_row_gives_the_result_that_its_writer_would_have_recorded() {
        let sync = TaranaSync::new("run", TaranaSyncSpec::default());
        let failed = from_row(&closed_row(Outcome::Failed, "ApiChanged", "html"), &sync);
        assert_eq!(
            (failed.phase, failed.reason, failed.message.as_str()),
            (Phase::Failed, Reason::ApiChanged, "html")
        );
        let foreign = from_row(&closed_row(Outcome::Failed, "Whatever", "x"), &sync);
        assert_eq!(foreign.reason, Reason::Abandoned);
        let completed = from_row(
            &closed_row(Outcome::Completed, "DeletesWithheld", "too many"),
            &sync,
        );
        assert_eq!(
            (completed.reason, completed.withheld.as_deref()),
            (Reason::Completed, Some("too many"))
        );
        assert!(!completed.message.contains("too many"), "{}", completed.message);
    }

    #[test]
    fn an_unknown_outcome_is_said_and_its_row_is_closed_with_the_reason_of_the_end() {
        let termination = Termination {
            phase: Phase::Failed,
            reason: Reason::DeadlineExceeded,
            message: "not finished (1 s): late".into(),
            row_close_deadline: None,
        };
        let fault = Fault::new(Reason::DatabaseBusy, "locked");
        let unknown = of_unknown_outcome(&termination, &fault);
        let mut sync = TaranaSync::new("run", TaranaSyncSpec::default());
        assert!(!has_unknown_outcome(&sync));
        sync.status = Some(StatusBuilder::new(&sync, Timestamp::UNIX_EPOCH).ended(&unknown, None));
        assert!(has_unknown_outcome(&sync) && unknown.message.contains("DatabaseBusy"));
        let swept = swept(&sync);
        assert_eq!(
            (swept.reason, swept.message.as_str()),
            (Reason::DeadlineExceeded, "not finished (1 s): late")
        );
    }

    #[test]
    fn the_summary_has_the_stale_rows_that_were_kept() {
        let counts = RunCounts {
            fetched: 9,
            withheld: 2,
            stale: 2,
            ..RunCounts::default()
        };
        let all = "9 fetched, 0 new, 0 changed, 0 unchanged, 0 deleted, 2 withheld, 0 skipped";
        assert_eq!(summary(&counts, false), all);
        let kept = RunCounts { stale: 5, ..counts };
        let expected =
            format!("dry run, nothing was changed: {all}, 3 stale rows kept because deleteStale is not set");
        assert_eq!(summary(&kept, true), expected);
    }

    #[test]
    fn a_commit_takes_precedence_over_any_termination() {
        let sync = TaranaSync::new("run", TaranaSyncSpec::default());
        let termination = Termination {
            phase: Phase::Cancelled,
            reason: Reason::Cancelled,
            message: "asked".into(),
            row_close_deadline: None,
        };
        let committed = from_close(
            &closed_row(Outcome::Completed, "Completed", ""),
            &termination,
            &sync,
        );
        assert_eq!(committed.phase, Phase::Completed);
        let cancelled = from_close(
            &closed_row(Outcome::Cancelled, "Cancelled", "asked"),
            &termination,
            &sync,
        );
        assert_eq!(
            (cancelled.phase, cancelled.duration_ms, cancelled.counts),
            (Phase::Cancelled, Some(7), None)
        );
    }
}
