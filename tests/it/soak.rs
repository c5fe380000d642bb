//! A short soak test. `devenv/src/soak` describes what it does and checks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devenv::soak::{Pace, Plan, soak};

/// With this seed, every disruption occurs within the runs of this test.
const SEED: u64 = 19941;
const RUNS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_short_soak_finds_no_violation() {
    let plan = Plan {
        duration: Duration::from_mins(10),
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
        "too few runs completed: {}",
        outcome.report
    );
    for disruption in [
        "SIGKILL",
        "SIGTERM",
        "SIGSTOP",
        "crashed",
        "terminated",
        "PostgreSQL away",
        "API server away",
        "clock stepped",
    ] {
        assert!(
            outcome.report.contains(disruption),
            "no {disruption}: {}",
            outcome.report
        );
    }
    assert!(outcome.compared > 400 * RUNS as u64, "{}", outcome.report);
}
