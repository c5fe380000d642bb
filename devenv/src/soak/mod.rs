//! The soak test: runs the operator under drift, random faults and kills, and compares the table with the expected one after
//! every run. See the README of this folder.

mod actions;
mod api_client;
mod batch;
mod checker;
mod checks;
mod database;
mod driver;
mod expected;
mod operators;
mod plan;
mod process_stats;
mod report;
mod row;
mod runner;
mod sampler;
mod statistics;
mod testbed;
mod vendor_faults;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use plan::{Pace, Plan};
pub use statistics::Violation;

use crate::error::{Error, Result};
use operators::Operators;
use statistics::Statistics;
use testbed::Testbed;

/// The result of a soak test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The report, plain text.
    pub report: String,
    /// Runs that were created and checked.
    pub runs: usize,
    /// How many of them completed.
    pub completed: usize,
    /// Rows that were compared with the expected table.
    pub compared: u64,
    /// Violations; empty when the test passed.
    pub violations: Vec<Violation>,
}

/// The state that the driver and the sampler share.
struct Shared {
    began: Instant,
    statistics: Mutex<Statistics>,
}

impl Shared {
    fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Runs the soak test until the time is up or Ctrl-C is pressed. Prints one line a minute to standard output. Report, samples
/// and operator logs are kept in the plan's folder.
///
/// # Errors
/// When the servers do not become ready or the folder cannot be written. Later errors are violations.
pub async fn soak(plan: &Plan) -> Result<Outcome> {
    recreate_folder(&plan.folder)?;
    let (testbed, mut operators) = Testbed::start(plan).await?;
    let machine = process_stats::machine();
    println!(
        "soak: seed {}, {} devices, {:.0?}, on {machine}; logs in {}",
        plan.seed,
        plan.devices,
        plan.duration,
        plan.folder.display()
    );
    let shared = Shared {
        began: Instant::now(),
        statistics: Mutex::default(),
    };
    drive_and_sample(plan, &testbed, &mut operators, &shared).await;

    let mut statistics = shared.statistics().clone();
    statistics.processes = operators.started();
    if let Some(leak) = report::leak(&statistics) {
        statistics.add_violation(shared.elapsed(), "-", leak);
    }
    let report = report::report(plan, &machine, shared.elapsed(), &statistics);
    write_file(&plan.folder.join("report.txt"), &report)?;
    write_file(&plan.folder.join("samples.csv"), &report::csv(&statistics))?;
    Ok(Outcome {
        report,
        runs: statistics.runs,
        completed: statistics.outcomes.get("Completed").copied().unwrap_or(0),
        compared: statistics.compared,
        violations: statistics.violations,
    })
}

/// Turns an early end into a violation, so that the report still shows the results up to then.
async fn drive_and_sample(plan: &Plan, testbed: &Testbed, operators: &mut Operators, shared: &Shared) {
    let leader = operators.leader_process();
    let result = tokio::select! {
        result = driver::drive(plan, testbed, operators, shared) => result,
        never = sampler::sample(plan, testbed, &leader, shared) => match never {},
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::io("wait for Ctrl-C")),
    };
    if let Err(error) = result {
        shared.statistics().add_violation(
            shared.elapsed(),
            "-",
            format!("the soak test cannot continue: {error}"),
        );
    }
}

/// Creates the folder and deletes the files of an earlier soak test.
fn recreate_folder(folder: &Path) -> Result<()> {
    let folder_error = || Error::io(format!("empty {}", folder.display()));
    if folder.is_dir() {
        fs::remove_dir_all(folder).map_err(folder_error())?;
    }
    fs::create_dir_all(folder).map_err(folder_error())
}

fn write_file(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(Error::io(format!("write {}", file.display())))
}
