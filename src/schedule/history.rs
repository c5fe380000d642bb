//! Pure: the runs of a schedule: which are active, how they ended, and which exceed the history limits.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::condition::{self, FINISHED};
use crate::api::schedule::{LastSync, TaranaSyncSchedule, TaranaSyncScheduleStatus};
use crate::api::sync::{Phase, TaranaSync, TriggerType};

/// Maximum number of names in `status.active`.
const MAX_ACTIVE: usize = 10;

type Runs = [Arc<TaranaSync>];

/// Names of the active runs, oldest first.
pub fn active_names(runs: &Runs) -> Vec<String> {
    active(runs).iter().map(|run| run.name_any()).collect()
}

/// The active runs that a slot started, oldest first. Only these count for `concurrencyPolicy`: a run that was requested neither
/// costs a slot its run, nor is it cancelled by one.
pub fn active_slot_runs(runs: &Runs) -> Vec<&Arc<TaranaSync>> {
    let mut active = active(runs);
    active.retain(|run| run.spec.trigger.type_ == TriggerType::Schedule);
    active
}

fn active(runs: &Runs) -> Vec<&Arc<TaranaSync>> {
    let mut active: Vec<_> = runs.iter().filter(|run| !phase(run).is_final()).collect();
    active.sort_by_cached_key(|run| {
        let created = run.metadata.creation_timestamp.as_ref();
        (created.map(|t| t.0), run.name_any())
    });
    active
}

/// The newest of these names, so that a status stays small.
pub fn newest_names(mut names: Vec<String>) -> Vec<String> {
    names.drain(..names.len().saturating_sub(MAX_ACTIVE));
    names
}

/// The runs that ended since `status` was written, in the order of their ends, each with its message. Those are the runs that
/// ended after `lastSync`, and those that were active. Two runs may end in the same second.
pub fn ended_since(runs: &Runs, status: &TaranaSyncScheduleStatus) -> Vec<(LastSync, String)> {
    let is_newer = |ended: &LastSync| {
        status
            .last_sync
            .as_ref()
            .is_none_or(|last| last.sort_key() < ended.sort_key())
    };
    let mut ended: Vec<_> = runs.iter().filter_map(|run| ended_run(run)).collect();
    ended.retain(|(run, _)| is_newer(run) || status.active.contains(&run.name));
    ended.sort_by(|(a, _), (b, _)| a.sort_key().cmp(&b.sort_key()));
    ended
}

fn ended_run(run: &TaranaSync) -> Option<(LastSync, String)> {
    let status = run.status.as_ref().filter(|status| status.phase.is_final())?;
    let finished = condition::find(&status.conditions, FINISHED)?;
    let ended = LastSync {
        name: run.name_any(),
        phase: status.phase,
        reason: finished.reason.clone(),
        completion_time: completion_time(run)?.clone(),
        dry_run: run.spec.dry_run,
    };
    Some((ended, finished.message.clone()))
}

/// The oldest run that exceeds a history limit. The newest completed run that is no dry run is always kept.
pub fn run_beyond_limit<'a>(schedule: &TaranaSyncSchedule, runs: &'a Runs) -> Option<&'a Arc<TaranaSync>> {
    let limit = |limit: i32| usize::try_from(limit).unwrap_or_default();
    let mut completed = by_completion(runs, |phase| phase == Phase::Completed);
    let mut kept = limit(schedule.spec.successful_syncs_history_limit);
    if let Some(newest_success) = completed.iter().rposition(|run| !run.spec.dry_run) {
        completed.remove(newest_success);
        kept = kept.saturating_sub(1);
    }
    let oldest_beyond = |runs: Vec<&'a Arc<TaranaSync>>, kept| (runs.len() > kept).then(|| runs[0]);
    oldest_beyond(completed, kept).or_else(|| {
        let failed = by_completion(runs, |phase| matches!(phase, Phase::Failed | Phase::Cancelled));
        oldest_beyond(failed, limit(schedule.spec.failed_syncs_history_limit))
    })
}

/// The runs with such a phase, the one that ended last at the end.
fn by_completion(runs: &Runs, has_phase: impl Fn(Phase) -> bool) -> Vec<&Arc<TaranaSync>> {
    let counts = |run: &&Arc<TaranaSync>| has_phase(phase(run)) && run.metadata.deletion_timestamp.is_none();
    let mut runs: Vec<_> = runs.iter().filter(counts).collect();
    runs.sort_by_key(|run| (completion_time(run).map(|t| t.0), run.name_any()));
    runs
}

/// When a run ended.
pub fn completion_time(run: &TaranaSync) -> Option<&Time> {
    run.status.as_ref()?.completion_time.as_ref()
}

/// Phase of a run.
pub fn phase(run: &TaranaSync) -> Phase {
    run.status.as_ref().map(|status| status.phase).unwrap_or_default()
}
