//! Pure: counts the results of all batches, for the progress line and the report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::{Batch, UserAction};
use super::checker::CheckResult;
use super::checks::RunOutcome;
use super::runner::Observations;

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was found, after the start.
    pub at: Duration,
    /// The name of the run; `-` when it concerns none.
    pub run: String,
    /// The expected and the found state.
    pub what: String,
}

/// A sample of the operator and its servers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) pid: u32,
    pub(super) age: Duration,
    /// Bytes.
    pub(super) resident: u64,
    pub(super) peak: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    /// The operator's connections to PostgreSQL.
    pub(super) connections: i64,
    /// Bytes of the database, and of the change rows in it.
    pub(super) database: i64,
    pub(super) changes: i64,
    /// Log rows.
    pub(super) logs: i64,
    pub(super) syncs: usize,
    pub(super) events: usize,
    /// The resident memory of the soak test itself, including the simulator.
    pub(super) own_resident: u64,
}

/// The counters of a soak test.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    pub(super) runs: usize,
    pub(super) batches: usize,
    /// By outcome, such as `Failed: ApiChanged`.
    pub(super) outcomes: BTreeMap<String, usize>,
    pub(super) dry_runs: usize,
    /// Cancels and deletes by users.
    pub(super) user_actions: BTreeMap<&'static str, usize>,
    /// The vendor's faults that fired, by kind.
    pub(super) faults: BTreeMap<String, u64>,
    /// Disruptions, by name.
    pub(super) disruptions: BTreeMap<&'static str, usize>,
    /// How often the fleet changed during a run.
    pub(super) changes_during_runs: usize,
    /// Unexpected exits of operators, by exit status.
    pub(super) unexpected_exits: BTreeMap<String, usize>,
    pub(super) takeovers: usize,
    pub(super) password_changes: usize,
    pub(super) processes: usize,
    pub(super) compared: u64,
    pub(super) differing: u64,
    pub(super) tolerated: u64,
    /// Durations of completed runs that were not dry.
    pub(super) durations: Vec<Duration>,
    pub(super) slowest: (Duration, String),
    pub(super) samples: Vec<Sample>,
    pub(super) violations: Vec<Violation>,
}

impl Statistics {
    pub(super) fn add_violation(&mut self, at: Duration, run: &str, what: String) {
        self.violations.push(Violation {
            at,
            run: run.to_owned(),
            what,
        });
    }

    /// Adds a finished batch.
    pub(super) fn add_batch(
        &mut self,
        at: Duration,
        batch: &Batch,
        observed: &Observations,
        result: CheckResult,
    ) {
        self.batches += 1;
        for (run, checked) in observed.runs.iter().zip(&result.runs) {
            self.runs += 1;
            self.dry_runs += usize::from(checked.dry_run);
            *self.outcomes.entry(outcome_name(&checked.outcome)).or_default() += 1;
            if checked.took > self.slowest.0 {
                self.slowest = (checked.took, run.name.clone());
            }
            if checked.outcome == RunOutcome::Completed && !checked.dry_run {
                self.durations.push(checked.took);
            }
            match run.request.user_action {
                UserAction::None => {}
                UserAction::Cancel => *self.user_actions.entry("cancel").or_default() += 1,
                UserAction::Delete => *self.user_actions.entry("delete").or_default() += 1,
            }
        }
        for (kind, times) in &observed.fired_faults {
            *self.faults.entry(kind.clone()).or_default() += u64::from(*times);
        }
        if let Some((_, disruption)) = batch.disruption {
            *self.disruptions.entry(disruption.name()).or_default() += 1;
        }
        self.changes_during_runs += usize::from(observed.fleet_versions.len() > 1);
        for exit in &observed.unexpected_exits {
            // Only the exit status: the log has the details.
            let status = exit.lines().next().unwrap_or_default().to_owned();
            *self.unexpected_exits.entry(status).or_default() += 1;
        }
        self.compared += result.compared;
        self.differing += result.differing;
        self.tolerated += result.tolerated;
        let problems = result.problems.into_iter();
        let execution_problems = observed
            .problems
            .iter()
            .map(|what| ("-".to_owned(), what.clone()));
        for (run, what) in problems.chain(execution_problems) {
            self.add_violation(at, &run, what);
        }
    }

    pub(super) fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    pub(super) fn disruption_count(&self) -> usize {
        self.disruptions.values().sum()
    }

    pub(super) fn median_duration(&self) -> Duration {
        let mut took = self.durations.clone();
        took.sort();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    /// The samples of the longest-lived process.
    pub(super) fn longest_lived(&self) -> Vec<Sample> {
        let oldest = self.samples.iter().max_by_key(|sample| sample.age);
        let of = |pid| {
            self.samples
                .iter()
                .filter(move |sample| sample.pid == pid)
                .copied()
        };
        oldest.map_or_else(Vec::new, |oldest| of(oldest.pid).collect())
    }
}

fn outcome_name(end: &RunOutcome) -> String {
    match end {
        RunOutcome::Completed => "Completed".to_owned(),
        RunOutcome::Failed(reason) => format!("Failed: {reason}"),
        RunOutcome::Cancelled => "Cancelled".to_owned(),
        RunOutcome::NeverSeen => "deleted before any operator saw it".to_owned(),
        RunOutcome::Open => "not ended".to_owned(),
    }
}
