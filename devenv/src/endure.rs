//! `devenv soak`: the soak from the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use devenv::soak::{Pace, Plan, soak};
use devenv::{Error, Result};

use crate::demo::operator_program;

/// How long, and how much.
#[derive(Args)]
pub(crate) struct SoakArgs {
    /// For how long runs are asked for
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Base nodes at the start
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Decides everything but the time that things take; default: another one each time
    #[arg(long)]
    seed: Option<u64>,
}

/// Soaks, prints the report, and fails if anything was not as it must be.
pub(crate) async fn endure(args: SoakArgs) -> Result<()> {
    let program = operator_program()?;
    // In cargo's target folder, where it outlives the soak.
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
        "{} violations; the operators' logs are in {}",
        outcome.violations.len(),
        plan.folder.display()
    )))
}
