//! Executes a batch: changes the fleet, creates the runs, performs the actions, and waits until all runs have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::actions::{Action, timed_actions};
use super::batch::{Batch, Change, RunRequest};
use super::operators::Operators;
use super::plan::Plan;
use super::testbed::{NAME, Testbed};
use super::vendor_faults;
use crate::error::{Error, Result};
use crate::simulator::{Device, Endpoint, Fault, Rule, Simulator};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The time limit of a batch besides twice the deadline of a run: queueing, takeovers, closing the log row.
const EXTRA_TIME: Duration = Duration::from_mins(3);

/// A run that was created.
#[derive(Clone, Debug)]
pub(super) struct CreatedRun {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) request: RunRequest,
    /// Its last observed state.
    pub(super) object: Value,
    pub(super) deleted: bool,
}

impl CreatedRun {
    pub(super) fn phase(&self) -> &str {
        self.object["status"]["phase"].as_str().unwrap_or("Pending")
    }

    fn has_ended(&self) -> bool {
        self.deleted || matches!(self.phase(), "Completed" | "Failed" | "Cancelled")
    }
}

/// The observations of a batch.
pub(super) struct Observations {
    pub(super) runs: Vec<CreatedRun>,
    /// The versions of the fleet during the runs.
    pub(super) fleet_versions: Vec<Vec<Device>>,
    /// The serials of devices whose record was delivered defective.
    pub(super) defective: BTreeSet<String>,
    /// Whether non-ASCII letters were delivered in Latin-1.
    pub(super) latin1: bool,
    /// The vendor's faults that fired, by kind.
    pub(super) fired_faults: BTreeMap<String, u32>,
    /// Problems during the execution.
    pub(super) problems: Vec<String>,
    /// Unexpected exits of operators.
    pub(super) unexpected_exits: Vec<String>,
    /// Whether a run did not end within the time limit.
    pub(super) timed_out: bool,
}

/// Executes a batch. `first` is the number of its first run.
pub(super) async fn execute(
    plan: &Plan,
    testbed: &Testbed,
    operators: &mut Operators,
    batch: &Batch,
    first: usize,
) -> Result<Observations> {
    change_fleet(&testbed.tcs, batch.before);
    if let Some(refresh_too) = batch.expire {
        testbed.tcs.expire_sessions(refresh_too);
    }
    let mut observed = Observations {
        runs: Vec::new(),
        fleet_versions: vec![testbed.tcs.devices()],
        defective: BTreeSet::new(),
        latin1: batch.rules.iter().any(|rule| rule.fault == Fault::Latin1),
        fired_faults: BTreeMap::new(),
        problems: Vec::new(),
        unexpected_exits: Vec::new(),
        timed_out: false,
    };
    testbed.tcs.set_rules(simulator_rules(batch));
    for (number, request) in batch.requests.iter().enumerate() {
        observed
            .runs
            .push(create_run(plan, testbed, request, first + number).await?);
    }
    let mut runner = BatchRunner {
        testbed,
        operators,
        disrupted: None,
    };
    runner.run_to_end(plan, batch, &mut observed).await?;
    observed.defective = testbed
        .tcs
        .defective_records()
        .into_iter()
        .map(|(serial, _)| serial)
        .collect();
    for state in testbed.tcs.rules().iter().take(batch.rules.len()) {
        if state.fired > 0 {
            *observed
                .fired_faults
                .entry(vendor_faults::kind_name(&state.rule.fault))
                .or_default() += state.fired;
        }
    }
    testbed.tcs.clear_rules();
    testbed.tcs.release_hanging();
    Ok(observed)
}

fn simulator_rules(batch: &Batch) -> Vec<Rule> {
    let hang = |after| {
        Rule::on(Endpoint::Search, Fault::Hang { after_bytes: None })
            .after(after)
            .once()
    };
    let change_during_runs = batch.change_during_runs.map(|(after, _)| hang(after));
    batch.rules.iter().cloned().chain(change_during_runs).collect()
}

fn change_fleet(tcs: &Simulator, change: Change) {
    if change.drift > 0.0 {
        tcs.drift(change.drift);
    }
    if change.vanish > 0 {
        tcs.vanish(change.vanish);
    }
    if change.add > 0 {
        tcs.add(change.add);
    }
}

async fn create_run(
    plan: &Plan,
    testbed: &Testbed,
    request: &RunRequest,
    number: usize,
) -> Result<CreatedRun> {
    let name = format!("run-{number:05}");
    let mut spec = json!({"connectionRef": {"name": NAME}, "dryRun": request.dry_run, "deleteStale": request.delete_stale,
        "backoffLimit": request.retries, "backoff": {"initialSeconds": 1, "maxSeconds": 2},
        "activeDeadlineSeconds": plan.pace.deadline, "trigger": {"actor": "soak"}});
    if let Some(ttl) = request.ttl {
        spec["ttlSecondsAfterFinished"] = json!(ttl);
    }
    if request.approved {
        spec["approvedDeletes"] = json!(plan.devices);
    }
    let object = testbed.api.create_run(&name, spec).await?;
    let id = object["metadata"]["uid"].as_str().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Error::Unexpected(format!("{name} has no uid")))?;
    Ok(CreatedRun {
        name,
        id,
        request: request.clone(),
        object,
        deleted: false,
    })
}

/// The targets of the actions.
struct BatchRunner<'a> {
    testbed: &'a Testbed,
    operators: &'a mut Operators,
    /// The operator that was killed, terminated or stopped.
    disrupted: Option<&'static str>,
}

impl BatchRunner<'_> {
    /// Performs all actions and waits until all runs have ended.
    async fn run_to_end(&mut self, plan: &Plan, batch: &Batch, observed: &mut Observations) -> Result<()> {
        let begun = Instant::now();
        let deadline = u64::try_from(plan.pace.deadline).unwrap_or(0);
        let limit = Duration::from_secs(2 * deadline) + EXTRA_TIME;
        let mut actions = timed_actions(batch).into_iter().peekable();
        let mut change_during_runs = batch.change_during_runs.map(|(_, change)| change);
        loop {
            while let Some((_, action)) = actions.next_if(|(at, _)| *at <= begun.elapsed()) {
                self.perform(action, observed).await?;
            }
            observed
                .unexpected_exits
                .extend(self.operators.restart_exited(&self.testbed.plane).await?);
            if self.testbed.tcs.hanging_calls() > 0
                && let Some(now) = change_during_runs.take()
            {
                change_fleet(&self.testbed.tcs, now);
                observed.fleet_versions.push(self.testbed.tcs.devices());
                self.testbed.tcs.release_hanging();
            }
            for run in observed.runs.iter_mut().filter(|run| !run.has_ended()) {
                refresh(self.testbed, run).await?;
            }
            if actions.peek().is_none() && observed.runs.iter().all(CreatedRun::has_ended) {
                return Ok(());
            }
            if begun.elapsed() > limit {
                observed.timed_out = true;
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn perform(&mut self, action: Action, observed: &mut Observations) -> Result<()> {
        let testbed = self.testbed;
        let leader = self.operators.leader();
        match action {
            Action::Cancel(number) => testbed.api.cancel_run(&observed.runs[number].name).await?,
            Action::Delete(number) => testbed.api.delete_run(&observed.runs[number].name).await?,
            Action::Kill => {
                self.disrupted = leader;
                if let Some(name) = leader {
                    self.operators.kill(name);
                }
            }
            Action::Terminate => {
                self.disrupted = leader;
                self.terminate(leader, observed).await?;
            }
            Action::Restart => {
                if let Some(name) = self.disrupted.take() {
                    self.operators.start(&testbed.plane, name).await?;
                }
            }
            Action::StartStandby => {
                let name = self.operators.standby_name();
                self.operators.start(&testbed.plane, name).await?;
            }
            Action::Freeze => {
                self.disrupted = leader;
                if let Some(name) = leader {
                    self.operators.freeze(name).await?;
                }
            }
            Action::Thaw => {
                if let Some(name) = self.disrupted {
                    self.operators.thaw(name).await?;
                }
            }
            Action::TerminateDeposed => {
                let disrupted = self.disrupted.take();
                self.terminate(disrupted, observed).await?;
            }
            Action::CrashDatabase => testbed.crash_database().await?,
            Action::TerminateConnections => testbed.database.terminate_other_connections().await?,
            Action::SetDatabaseUnreachable(unreachable) => {
                testbed.database_proxy.set_unreachable(unreachable);
            }
            Action::SetApiServerUnreachable(unreachable) => {
                testbed.api_server_proxy.set_unreachable(unreachable);
            }
            Action::SetClock(offset) => testbed.clock.set(offset)?,
        }
        Ok(())
    }

    async fn terminate(&mut self, name: Option<&'static str>, observed: &mut Observations) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        if !self.operators.terminate(name).await? {
            observed
                .problems
                .push(format!("operator {name} did not end within 30 s of SIGTERM"));
        }
        Ok(())
    }
}

/// Reads the current state of the object.
async fn refresh(testbed: &Testbed, run: &mut CreatedRun) -> Result<()> {
    match testbed.api.get_run(&run.name).await? {
        Some(object) => run.object = object,
        None => run.deleted = true,
    }
    Ok(())
}
