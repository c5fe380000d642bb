//! Checks a finished batch: log rows, change rows, outbox, and every row of the table against the expected one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::actions::extra_time;
use super::batch::Batch;
use super::checks::{self, RunOutcome, count_column};
use super::database::RunRecord;
use super::expected::ExpectedTable;
use super::plan::Plan;
use super::runner::{CreatedRun, Observations};
use super::testbed::Testbed;
use crate::error::Result;

/// The sweeper closes abandoned log rows: every two minutes, after a grace period of one minute.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(5);

/// The outcome and the duration of a run.
pub(super) struct RunResult {
    pub(super) outcome: RunOutcome,
    pub(super) dry_run: bool,
    pub(super) took: Duration,
}

/// The result of checking a batch.
#[derive(Default)]
pub(super) struct CheckResult {
    pub(super) runs: Vec<RunResult>,
    /// Problems, each with the name of its run.
    pub(super) problems: Vec<(String, String)>,
    /// Rows compared with the expected table, and rows that differ.
    pub(super) compared: u64,
    pub(super) differing: u64,
    /// Rows that differ and may: the vendor's data was defective, or the fleet changed during the run.
    pub(super) tolerated: u64,
}

/// Keeps the expected table and the open log rows from batch to batch.
pub(super) struct Checker {
    pub(super) expected: ExpectedTable,
    open_rows: HashMap<Uuid, Instant>,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self {
            expected: ExpectedTable::default(),
            open_rows: HashMap::new(),
        }
    }

    /// Checks a batch whose runs have ended.
    pub(super) async fn check(
        &mut self,
        plan: &Plan,
        testbed: &Testbed,
        batch: &Batch,
        observed: &Observations,
    ) -> Result<CheckResult> {
        let mut result = CheckResult::default();
        let deadline = Duration::from_secs(u64::try_from(plan.pace.deadline).unwrap_or(0));
        let within = deadline + extra_time(batch, &plan.pace);
        let mut completed = Vec::new();
        for run in &observed.runs {
            let record = testbed.database.run_record(run.id).await?;
            let problems = checks::check_record(run, &record, within);
            result
                .problems
                .extend(problems.into_iter().map(|what| (run.name.clone(), what)));
            let outcome = checks::outcome(&record);
            let took = u64::try_from(count_column(&record, "duration_ms")).unwrap_or(0);
            result.runs.push(RunResult {
                outcome: outcome.clone(),
                dry_run: run.request.dry_run,
                took: Duration::from_millis(took),
            });
            if outcome == RunOutcome::Completed && !run.request.dry_run {
                completed.push((run, record));
            }
        }
        completed.sort_by_key(|(_, record)| record.row["completed_at"].to_string());
        self.check_table(testbed, observed, &completed, &mut result)
            .await?;
        self.check_open_rows(testbed, &mut result).await?;
        Ok(result)
    }

    /// Compares the table with the fleet if a run completed, otherwise with its previous state.
    async fn check_table(
        &mut self,
        testbed: &Testbed,
        observed: &Observations,
        completed: &[(&CreatedRun, RunRecord)],
        result: &mut CheckResult,
    ) -> Result<()> {
        let exact = observed.fleet_versions.len() == 1 && observed.defective.is_empty() && !observed.latin1;
        let before = self.expected.clone();
        let fleet = observed.fleet_versions.last().map_or(&[][..], Vec::as_slice);
        let mut deletes = false;
        for (run, record) in completed {
            let stale = self.expected.stale(fleet).len();
            let rows = self.expected.digest().rows;
            let guarded = checks::check_delete_guard(run, record, stale, rows, exact);
            let deletes_now = run.request.delete_stale && count_column(record, "withheld") == 0;
            deletes |= deletes_now;
            let changes = self.expected.apply(fleet, deletes_now);
            let counted = if exact {
                checks::check_counts(record, changes)
            } else {
                None
            };
            let problems = guarded.into_iter().chain(counted);
            result
                .problems
                .extend(problems.map(|what| (run.name.clone(), what)));
        }
        let found = testbed.database.table_digest().await?;
        result.compared += u64::try_from(found.rows).unwrap_or(0);
        if found != self.expected.digest() {
            let may_differ = !exact && !completed.is_empty();
            self.compare_rows(testbed, observed, &before, may_differ.then_some(deletes), result)
                .await?;
        }
        Ok(())
    }

    /// Compares row by row. `deletes`: whether a run with ambiguous data may have deleted rows; `None`: no row may differ.
    async fn compare_rows(
        &mut self,
        testbed: &Testbed,
        observed: &Observations,
        before: &ExpectedTable,
        deletes: Option<bool>,
        result: &mut CheckResult,
    ) -> Result<()> {
        let found = testbed.database.table_rows().await?;
        let differing = self.expected.differing(&found);
        let all = differing.len();
        let is_permitted = |serial: &str| {
            deletes.is_some_and(|deletes| {
                checks::is_difference_permitted(
                    observed,
                    before,
                    deletes,
                    serial,
                    found.get(serial).map(String::as_str),
                )
            })
        };
        let unexpected: Vec<String> = differing
            .iter()
            .filter(|serial| !is_permitted(serial))
            .cloned()
            .collect();
        result.tolerated += (all - unexpected.len()) as u64;
        if !unexpected.is_empty() {
            result.differing += unexpected.len() as u64;
            let runs: Vec<&str> = observed.runs.iter().map(|run| run.name.as_str()).collect();
            let what = format!(
                "the table: {}",
                checks::describe_differences(&self.expected, &found, &unexpected)
            );
            result.problems.push((runs.join(" "), what));
        }
        for serial in differing {
            self.expected
                .accept(&serial, found.get(&serial).map(String::as_str));
        }
        Ok(())
    }

    /// Checks that the sweeper closes the open log rows of ended runs in time.
    async fn check_open_rows(&mut self, testbed: &Testbed, result: &mut CheckResult) -> Result<()> {
        let now = testbed.database.open_log_rows().await?;
        self.open_rows
            .retain(|id, _| now.iter().any(|(open, _)| open == id));
        for (id, name) in now {
            let since = *self.open_rows.entry(id).or_insert_with(Instant::now);
            if since.elapsed() > SWEEP_TIMEOUT {
                result.problems.push((
                    name,
                    format!("its log row is still open {:.0?} after its end", since.elapsed()),
                ));
                // Report it once.
                self.open_rows.insert(id, Instant::now());
            }
        }
        Ok(())
    }

    /// The number of open log rows.
    pub(super) fn open_count(&self) -> usize {
        self.open_rows.len()
    }
}
