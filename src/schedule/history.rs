//! Pure: what the runs of a schedule have come to, and which of them need not be kept.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::condition::{self, FINISHED};
use crate::api::schedule::{LastSync, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use crate::api::sync::{Phase, TaranaSync};

type Runs = [Arc<TaranaSync>];

/// Names of those that have not ended, oldest first.
pub fn active(runs: &Runs) -> Vec<String> {
    let mut active: Vec<_> = runs.iter().filter(|run| !phase(run).is_final()).collect();
    active.sort_by_key(|run| {
        (
            run.metadata.creation_timestamp.as_ref().map(|t| t.0),
            run.name_any(),
        )
    });
    active.iter().map(|run| run.name_any()).collect()
}

/// Those that ended since `known`, in the order of their ends, each with its message: later than the last that was known, or
/// known to be active. Two may end in one second.
pub fn ended_since(runs: &Runs, known: &TaranaSyncScheduleStatus) -> Vec<(LastSync, String)> {
    let is_later = |last: &LastSync| {
        known
            .last_sync
            .as_ref()
            .is_none_or(|known| known.place() < last.place())
    };
    let mut ended: Vec<_> = runs.iter().filter_map(|run| end(run)).collect();
    ended.retain(|(last, _)| is_later(last) || known.active.contains(&last.name));
    ended.sort_by(|(a, _), (b, _)| a.place().cmp(&b.place()));
    ended
}

fn end(run: &TaranaSync) -> Option<(LastSync, String)> {
    let status = run.status.as_ref().filter(|status| status.phase.is_final())?;
    let finished = condition::find(&status.conditions, FINISHED)?;
    let last = LastSync {
        name: run.name_any(),
        phase: status.phase,
        reason: finished.reason.clone(),
        completion_time: ended_at(run)?.clone(),
    };
    Some((last, finished.message.clone()))
}

/// One that the limits have no room for, the oldest first. The newest completed run always has room.
pub fn excess<'a>(schedule: &TaranaSyncSchedule, runs: &'a Runs) -> Option<&'a Arc<TaranaSync>> {
    let limit = |limit: i32| usize::try_from(limit).unwrap_or_default();
    let kept = limit(schedule.spec.successful_syncs_history_limit).max(1);
    let completed = oldest_beyond(kept, runs, |phase| phase == Phase::Completed);
    completed.or_else(|| {
        let kept = limit(schedule.spec.failed_syncs_history_limit);
        oldest_beyond(kept, runs, |phase| {
            matches!(phase, Phase::Failed | Phase::Cancelled)
        })
    })
}

fn oldest_beyond(kept: usize, runs: &Runs, of: impl Fn(Phase) -> bool) -> Option<&Arc<TaranaSync>> {
    let counts = |run: &&Arc<TaranaSync>| of(phase(run)) && run.metadata.deletion_timestamp.is_none();
    let mut runs: Vec<_> = runs.iter().filter(counts).collect();
    runs.sort_by_key(|run| (ended_at(run).map(|t| t.0), run.name_any()));
    (runs.len() > kept).then(|| runs[0])
}

fn ended_at(run: &TaranaSync) -> Option<&Time> {
    run.status.as_ref()?.completion_time.as_ref()
}

/// Where a run stands.
pub fn phase(run: &TaranaSync) -> Phase {
    run.status.as_ref().map(|status| status.phase).unwrap_or_default()
}
