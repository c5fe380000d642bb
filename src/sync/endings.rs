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
    let (phase, reason) = match ended.outcome {
        Outcome::Completed => (Phase::Completed, Reason::Completed),
        Outcome::Cancelled => (Phase::Cancelled, Reason::Cancelled),
        Outcome::Failed => (Phase::Failed, Reason::Abandoned),
    };
    let message = match (&ended.message, ended.outcome) {
        (Some(message), Outcome::Failed | Outcome::Cancelled) => message.clone(),
        (withheld, _) => summary(&ended.counts, sync.spec.dry_run, withheld.as_deref()),
    };
    let counts = (phase == Phase::Completed).then_some(ended.counts);
    Ending {
        phase,
        reason,
        message,
        counts,
        duration_ms: Some(ended.duration_ms),
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
    if let Some(counts) = status.counts.filter(|c| c.skipped > 0) {
        news.push(News::warning(
            Reason::RecordsSkipped,
            format!(
                "{} of {} records could not be used: see errors in tarana_sync_logs",
                counts.skipped, counts.fetched
            ),
        ));
    }
    if condition::is_true(&status.conditions, condition::DELETES_WITHHELD) {
        news.push(News::warning(Reason::DeletesWithheld, message.clone()));
    }
    news.push(match status.phase {
        Phase::Completed => News::normal(Reason::Completed, message),
        Phase::Cancelled => News::normal(Reason::Cancelled, message),
        _ => News::warning(Reason::Failed, format!("{reason}: {message}")),
    });
    news
}

/// What was done, in one line.
fn summary(c: &Counts, dry_run: bool, withheld: Option<&str>) -> String {
    let would = if dry_run {
        "dry run, nothing was changed: "
    } else {
        ""
    };
    let text = format!(
        "{would}{} fetched, {} new, {} changed, {} unchanged, {} deleted, {} skipped",
        c.fetched, c.inserted, c.updated, c.unchanged, c.deleted, c.skipped
    );
    let held = match (c.withheld, withheld) {
        (0, _) => String::new(),
        (n, None) => format!(", {n} withheld"),
        (n, Some(why)) => format!(", {n} withheld: {why}"),
    };
    text + &held
}
