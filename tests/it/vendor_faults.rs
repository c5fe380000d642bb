//! A faulty vendor API: every fault of the simulator, alone and in random pairs, in many small runs. Each run ends as
//! Completed and the table equals the fleet, or not as Completed and the table is unchanged.
//!
//! `expectations` states the result of each fault alone. `generator` derives random cases from a seed. `worker` executes a
//! case, `checks` verifies the result, and `allowed_rows` computes the rows that the table may contain.
//!
//! A failure prints its seed: `TARANA_SEED=<seed>` repeats that case, `TARANA_RUNS=<n>` executes n cases from there.
//! `make test` always uses the same seeds, so that only the change under test can make it fail. `make test-long` uses new ones.

mod allowed_rows;
mod case;
mod checks;
mod expectations;
mod generator;
mod once;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::future::join_all;

use case::Case;
use worker::{RunResult, Worker};

/// Concurrent workers: a run mostly waits.
const WORKERS: usize = 10;
/// After this many failures no further case is started.
const MAX_FAILURES: usize = 12;

/// Number of runs by phase and reason.
type Tally = BTreeMap<String, usize>;

/// Executes all cases and panics with the failures. Returns how many results have each label.
async fn run_all(cases: Vec<Case>, label: fn(&RunResult) -> String) -> Tally {
    let cases = Mutex::new(VecDeque::from(cases));
    let (tally, failures) = (Mutex::new(Tally::new()), Mutex::new(Vec::new()));
    let workers = (0..WORKERS).map(|_| async {
        let mut worker = Worker::new().await;
        let next = || cases.lock().unwrap().pop_front();
        while let Some(case) = next() {
            let result = worker.run(&case).await;
            if let Err(error) = checks::check_result(&case, &result) {
                let mut failures = failures.lock().unwrap();
                failures.push(error);
                if failures.len() >= MAX_FAILURES {
                    cases.lock().unwrap().clear();
                }
            }
            *tally.lock().unwrap().entry(label(&result)).or_default() += 1;
            worker.clean_up(&result).await;
        }
    });
    join_all(workers).await;
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    tally.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_alone_has_the_expected_result() {
    println!(
        "{:?}",
        run_all(expectations::single_faults(), RunResult::label).await
    );
}

/// A fault that occurs once costs no run, whatever it is and whatever was requested: some of all cases.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_occurs_once_costs_no_run() {
    let some = once::cases().into_iter().step_by(4).collect();
    println!("{:?}", run_all(some, RunResult::attempts).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn any_fault_that_occurs_once_costs_no_run() {
    println!("{:?}", run_all(once::cases(), RunResult::attempts).await);
}

/// The first seed and the number of runs of `make test`.
const DEFAULT_SEED_AND_RUNS: (u64, u64) = (1_199_825_728, 100);

/// The first seed and the number of runs, from the environment or these defaults.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no flags, and a failed run is repeated by its seed"
)]
fn seed_and_runs((seed, runs): (u64, u64)) -> (u64, u64) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text: String| text.parse().ok())
    };
    match (number("TARANA_SEED"), number("TARANA_RUNS")) {
        (Some(seed), runs) => (seed, runs.unwrap_or(1)),
        (None, requested) => (seed, requested.unwrap_or(runs)),
    }
}

async fn run_random(defaults: (u64, u64)) {
    let (seed, runs) = seed_and_runs(defaults);
    println!("{runs} runs from TARANA_SEED={seed}");
    let tally = run_all(
        (seed..seed + runs).map(generator::generate).collect(),
        RunResult::label,
    )
    .await;
    println!("{tally:?}");
    let completed = tally.get("Completed").copied().unwrap_or_default();
    let all: usize = tally.values().sum();
    if runs > 50 {
        assert!(
            completed * 10 > all && completed * 10 < all * 9,
            "too few or too many runs completed: {tally:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_fault_pairs() {
    run_random(DEFAULT_SEED_AND_RUNS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn random_fault_pairs_long() {
    let seed = u64::from(uuid::Uuid::new_v4().as_fields().0);
    run_random((seed, 3000)).await;
}
