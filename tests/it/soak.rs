//! The soak in small: so that `make soak` cannot rot. What it does and judges is told in `devenv/src/soak`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devenv::soak::{Pace, Plan, soak};

/// Draws every blow of the short pace within so many runs; another seed may leave one out.
const SEED: u64 = 3429;
const RUNS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_a_short_soak() {
    let plan = Plan {
        duration: Duration::from_mins(3),
        runs: Some(RUNS),
        devices: 500,
        seed: SEED,
        program: PathBuf::from(env!("CARGO_BIN_EXE_tarana-operator")),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak"),
        pace: Pace::SHORT,
    };
    let outcome = soak(&plan).await.unwrap();
    println!("{}", outcome.report);
    assert!(outcome.violations.is_empty(), "{}", outcome.report);
    assert!(
        outcome.runs >= RUNS && outcome.completed * 3 > outcome.runs,
        "too one-sided to tell much: {}",
        outcome.report
    );
    for blow in [
        "SIGKILL",
        "SIGTERM",
        "SIGSTOP",
        "crashed",
        "terminated",
        "PostgreSQL away",
        "API server away",
    ] {
        assert!(outcome.report.contains(blow), "no {blow}: {}", outcome.report);
    }
    assert!(outcome.compared > 400 * RUNS as u64, "{}", outcome.report);
}
