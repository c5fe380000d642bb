//! `devenv soak`: runs the soak test from the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use devenv::soak::{Pace, Plan, soak};
use devenv::{Error, Result};

use crate::demo::operator_program;

/// Duration and size of the soak test.
#[derive(Args)]
pub(crate) struct SoakArgs {
    /// For how many minutes runs are created
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Base nodes at the start
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Determines everything but timing; default: random
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the soak test and prints the report. Fails when it found a violation.
pub(crate) async fn run_soak(args: SoakArgs) -> Result<()> {
    let program = operator_program()?;
    // In cargo's target folder, where the logs outlive the soak test.
    let folder = program
        .ancestors()
        .nth(2)
        .map_or_else(PathBuf::new, |target| target.join("soak"));
    let plan = Plan {
        duration: Duration::from_mins(args.minutes),
        runs: None,
        devices: args.devices,
        seed: args
            .seed
            .unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0)),
        program,
        folder,
        pace: Pace::LONG,
    };
    let outcome = soak(&plan).await?;
    println!("\n{}", outcome.report);
    if outcome.violations.is_empty() {
        return Ok(());
    }
    Err(Error::Unexpected(format!(
        "the soak test found {} violations; the operators' logs are in {}",
        outcome.violations.len(),
        plan.folder.display()
    )))
}
