//! Pure: what the end of a run is called, in the object and in Events.

use super::machine::End;
use super::status::Ending;
use crate::api::condition;
use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync};
use crate::notify::News;
use crate::station::Counts;
use crate::store::{Ended, Outcome};

/// What a run is about to do.
pub(super) fn intent(sync: &TaranaSync) -> String {
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

/// The end that the log row tells of, for a run that had not ended it itself.
pub(super) fn of_row(ended: &Ended, sync: &TaranaSync) -> Ending {
    let told = ended.reason.as_deref().and_then(Reason::parse);
    let (phase, reason) = match ended.outcome {
        Outcome::Completed => (Phase::Completed, Reason::Completed),
        Outcome::Cancelled => (Phase::Cancelled, Reason::Cancelled),
        Outcome::Failed => (Phase::Failed, told.unwrap_or(Reason::Abandoned)),
    };
    let completed = phase == Phase::Completed;
    let told = ended.message.clone();
    let (message, withheld) = if completed {
        (
            summary(&ended.counts, sync.spec.dry_run),
            told.filter(|_| ended.counts.withheld > 0),
        )
    } else {
        (
            told.unwrap_or_else(|| "its log row was closed by another program".to_owned()),
            None,
        )
    };
    let counts = completed.then_some(ended.counts);
    Ending {
        phase,
        reason,
        message,
        counts,
        duration_ms: Some(ended.duration_ms),
        reading: ended.reading.clone(),
        withheld,
    }
}

/// The end after the row was closed: ours, unless a commit came first.
pub(super) fn of_close(ended: &Ended, end: &End, sync: &TaranaSync) -> Ending {
    if ended.outcome == Outcome::Completed {
        return of_row(ended, sync);
    }
    Ending {
        duration_ms: Some(ended.duration_ms),
        ..without_row(end)
    }
}

/// The end as the machine has it, where no row could be asked.
pub(super) fn without_row(end: &End) -> Ending {
    Ending {
        phase: end.phase,
        reason: end.reason,
        message: end.message.clone(),
        counts: None,
        duration_ms: None,
        reading: None,
        withheld: None,
    }
}

/// The Events that belong to the end of a run.
pub(super) fn news(sync: &TaranaSync) -> Vec<News> {
    let status = sync.status.clone().unwrap_or_default();
    let (reason, message) = condition::find(&status.conditions, condition::FINISHED)
        .map_or((String::new(), String::new()), |c| {
            (c.reason.clone(), c.message.clone())
        });
    let mut news = Vec::new();
    let kept =
        condition::find(&status.conditions, condition::DELETES_WITHHELD).filter(|c| c.status == "True");
    // One warning at most: each Event is a write, and the counts are in the last one anyway.
    if let Some(kept) = kept {
        news.push(News::warning(Reason::DeletesWithheld, kept.message.clone()));
    } else if let Some(counts) = status.counts.filter(|c| c.skipped > 0) {
        news.push(News::warning(
            Reason::RecordsSkipped,
            format!(
                "{} of {} records could not be used: see errors in tarana_sync_logs",
                counts.skipped, counts.fetched
            ),
        ));
    }
    news.push(match status.phase {
        Phase::Completed => News::normal(Reason::Completed, message),
        Phase::Cancelled => News::normal(Reason::Cancelled, message),
        _ => News::warning(Reason::Failed, format!("{reason}: {message}")),
    });
    news
}

/// What was done, in one line.
fn summary(c: &Counts, dry_run: bool) -> String {
    let would = if dry_run {
        "dry run, nothing was changed: "
    } else {
        ""
    };
    format!(
        "{would}{} fetched, {} new, {} changed, {} unchanged, {} deleted, {} withheld, {} skipped",
        c.fetched, c.inserted, c.updated, c.unchanged, c.deleted, c.withheld, c.skipped
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sync::TaranaSyncSpec;
    use k8s_openapi::jiff::Timestamp;

    fn ended(outcome: Outcome, reason: &str, message: &str) -> Ended {
        let counts = Counts {
            fetched: 9,
            withheld: 2,
            ..Counts::default()
        };
        let (reason, message) = (Some(reason.to_owned()), Some(message.to_owned()));
        Ended {
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
    fn a_row_tells_the_end_as_the_process_would_have_that_wrote_it() {
        let sync = TaranaSync::new("run", TaranaSyncSpec::default());
        let failed = of_row(&ended(Outcome::Failed, "ApiChanged", "html"), &sync);
        assert_eq!(
            (failed.phase, failed.reason, failed.message.as_str()),
            (Phase::Failed, Reason::ApiChanged, "html")
        );
        let foreign = of_row(&ended(Outcome::Failed, "Whatever", "x"), &sync);
        assert_eq!(foreign.reason, Reason::Abandoned);
        let completed = of_row(&ended(Outcome::Completed, "DeletesWithheld", "too many"), &sync);
        assert_eq!(
            (completed.reason, completed.withheld.as_deref()),
            (Reason::Completed, Some("too many"))
        );
        assert!(!completed.message.contains("too many"), "{}", completed.message);
    }

    #[test]
    fn a_commit_wins_over_any_other_end() {
        let sync = TaranaSync::new("run", TaranaSyncSpec::default());
        let end = End {
            phase: Phase::Cancelled,
            reason: Reason::Cancelled,
            message: "asked".into(),
            insist_until: None,
        };
        let won = of_close(&ended(Outcome::Completed, "Completed", ""), &end, &sync);
        assert_eq!(won.phase, Phase::Completed);
        let lost = of_close(&ended(Outcome::Cancelled, "Cancelled", "asked"), &end, &sync);
        assert_eq!(
            (lost.phase, lost.duration_ms, lost.counts),
            (Phase::Cancelled, Some(7), None)
        );
    }
}
