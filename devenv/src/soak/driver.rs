//! Runs and checks one batch after the other, and cleans up between them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Shared;
use super::batch::{Batch, BatchGenerator};
use super::checker::Checker;
use super::checks::RunOutcome;
use super::operators::Operators;
use super::plan::Plan;
use super::runner::{Observations, execute};
use super::testbed::Testbed;
use crate::error::{Error, Result};

/// How long a connection may take to recover after the last fault.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take to recover after a change of the password.
const ROTATION_TIMEOUT: Duration = Duration::from_mins(2);
/// How late an object may be deleted after its TTL, because the operator is killed now and then.
const TTL_GRACE: Duration = Duration::from_mins(2);
/// How long log rows may stay open at the end, until the sweeper closes them.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(5);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A running soak test.
struct Driver<'a> {
    plan: &'a Plan,
    testbed: &'a Testbed,
    operators: &'a mut Operators,
    shared: &'a Shared,
    checker: Checker,
    /// The last observed holder of the Lease.
    holder: Option<String>,
    /// Runs with a TTL, and when their objects must be gone.
    expiring: HashMap<String, Instant>,
}

/// Runs batches until the time is up, then checks that everything recovers.
pub(super) async fn drive(
    plan: &Plan,
    testbed: &Testbed,
    operators: &mut Operators,
    shared: &Shared,
) -> Result<()> {
    let mut driver = Driver {
        plan,
        testbed,
        operators,
        shared,
        checker: Checker::new(),
        holder: None,
        expiring: HashMap::new(),
    };
    driver.run_without_faults("the first run").await?;
    let mut generator = BatchGenerator::new(plan.seed, plan.pace, plan.devices);
    while shared.elapsed() < plan.duration && plan.runs.is_none_or(|most| shared.statistics().runs < most) {
        let batch = generator.next_batch(plan.is_leak_window(shared.elapsed()));
        driver.run_batch(&batch).await?;
        sleep(batch.pause).await;
    }
    driver.run_without_faults("the last run").await?;
    driver.wait_for_closed_log_rows().await
}

impl Driver<'_> {
    /// Runs a batch without faults, which must complete.
    async fn run_without_faults(&mut self, which: &str) -> Result<()> {
        let outcomes = self.run_batch(&BatchGenerator::without_faults()).await?;
        if outcomes != [RunOutcome::Completed] {
            self.add_violation(which, format!("a run without faults ended as {outcomes:?}"));
        }
        Ok(())
    }

    async fn run_batch(&mut self, batch: &Batch) -> Result<Vec<RunOutcome>> {
        let first = self.shared.statistics().runs;
        let observed = execute(self.plan, self.testbed, self.operators, batch, first).await?;
        if observed.timed_out {
            let statuses = observed
                .runs
                .iter()
                .map(|run| format!("{}: {}", run.name, run.object["status"]));
            let statuses: Vec<String> = statuses.collect();
            return Err(Error::Unexpected(format!(
                "a run never ended: {}",
                statuses.join("; ")
            )));
        }
        let result = self
            .checker
            .check(self.plan, self.testbed, batch, &observed)
            .await?;
        let outcomes: Vec<RunOutcome> = result.runs.iter().map(|run| run.outcome.clone()).collect();
        self.shared
            .statistics()
            .add_batch(self.shared.elapsed(), batch, &observed, result);
        self.clean_up(&observed).await?;
        self.restore_connection(&outcomes).await?;
        self.count_takeover().await?;
        Ok(outcomes)
    }

    /// Deletes objects without a TTL, and checks that the others are deleted in time.
    async fn clean_up(&mut self, observed: &Observations) -> Result<()> {
        for run in observed.runs.iter().filter(|run| !run.deleted) {
            match run.request.ttl {
                Some(ttl) => {
                    let due = Instant::now() + Duration::from_secs(ttl.into()) + TTL_GRACE;
                    self.expiring.insert(run.name.clone(), due);
                }
                None => self.testbed.api.delete_run(&run.name).await?,
            }
        }
        let late: Vec<String> = self
            .expiring
            .iter()
            .filter(|(_, due)| Instant::now() > **due)
            .map(|(name, _)| name.clone())
            .collect();
        for name in late {
            self.expiring.remove(&name);
            if self.testbed.api.get_run(&name).await?.is_some() {
                self.add_violation(&name, "its object exists 2 min after its TTL".to_owned());
            }
        }
        Ok(())
    }

    /// Waits until the connection is ready for the next batch. After a rejected login it changes the password.
    async fn restore_connection(&mut self, outcomes: &[RunOutcome]) -> Result<()> {
        if !is_login_paused(outcomes) && self.testbed.is_ready_within(RECOVERY_TIMEOUT).await? {
            return Ok(());
        }
        self.testbed.rotate_password().await?;
        self.shared.statistics().password_changes += 1;
        let deadline = Instant::now() + ROTATION_TIMEOUT;
        while !self.testbed.is_ready_within(POLL_INTERVAL).await? {
            self.operators.restart_exited(&self.testbed.plane).await?;
            if Instant::now() > deadline {
                self.add_violation("-", "the connection does not recover".to_owned());
                return Ok(());
            }
        }
        Ok(())
    }

    async fn count_takeover(&mut self) -> Result<()> {
        let now = self.testbed.api.lease_holder().await?;
        if let (Some(before), Some(now)) = (&self.holder, &now) {
            self.shared.statistics().takeovers += usize::from(before != now);
        }
        self.holder = now.or(self.holder.take());
        Ok(())
    }

    /// Waits until all log rows are closed.
    async fn wait_for_closed_log_rows(&mut self) -> Result<()> {
        let deadline = Instant::now() + SWEEP_TIMEOUT;
        while self.checker.open_count() > 0 {
            let open = self.testbed.database.open_log_rows().await?;
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.add_violation("-", format!("log rows stay open: {open:?}"));
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    fn add_violation(&self, run: &str, what: String) {
        self.shared
            .statistics()
            .add_violation(self.shared.elapsed(), run, what);
    }
}

/// Whether the operator may have paused logins for 15 minutes after a rejected one.
fn is_login_paused(outcomes: &[RunOutcome]) -> bool {
    let is_rejection = |reason: &str| {
        reason.starts_with("Authentication") || ["AccessDenied", "ApiRejected"].contains(&reason)
    };
    outcomes
        .iter()
        .any(|outcome| matches!(outcome, RunOutcome::Failed(reason) if is_rejection(reason)))
}
