//! The vendor lies: every fault that the simulator has, alone and in pairs at random, over many small runs. Each run ends
//! Completed with the table as the fleet is, or not Completed with the table untouched; nothing between.
//!
//! `table` says what each fault must come to, alone. `dice` makes random runs of a seed. `lane` brings a run about and hands
//! over what became of it; `verdict` judges it, by `allowed`: what may stand in the table.
//!
//! A run that fails prints its seed; `TARANA_SEED=<seed>` repeats that one, `TARANA_RUNS=<n>` so many from there on. A change is
//! held against the same runs each time, so that it fails by its own fault alone; `make test-long` looks for new ones.

mod allowed;
mod case;
mod dice;
mod lane;
mod table;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::future::join_all;

use case::Case;
use lane::Lane;

/// Worlds that try runs side by side: most of a run's time is waiting.
const LANES: usize = 5;
/// So many failures tell enough.
const TELLING: usize = 12;

/// How runs ended, by phase and reason, and how often.
type Tally = BTreeMap<String, usize>;

/// Tries all of them, but no more once some have failed, and fails with those.
async fn try_all(cases: Vec<Case>) -> Tally {
    let cases = Mutex::new(VecDeque::from(cases));
    let (tally, failed) = (Mutex::new(Tally::new()), Mutex::new(Vec::new()));
    let lanes = (0..LANES).map(|_| async {
        let mut lane = Lane::new().await;
        let next = || cases.lock().unwrap().pop_front();
        while let Some(case) = next() {
            let end = lane.run(&case).await;
            if let Err(wrong) = verdict::judge(&case, &end) {
                let mut failed = failed.lock().unwrap();
                failed.push(wrong);
                if failed.len() >= TELLING {
                    cases.lock().unwrap().clear();
                }
            }
            *tally.lock().unwrap().entry(end.word()).or_default() += 1;
            lane.forget(&end).await;
        }
    });
    join_all(lanes).await;
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    tally.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lie_alone_comes_to_what_the_table_says() {
    println!("{:?}", try_all(table::alone()).await);
}

/// The seed to begin with, and how many runs, where nobody asks for others.
const EVERY_TIME: (u64, u64) = (1_199_825_728, 240);

/// The seed to begin with, and how many runs: as asked, or these.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no flags; a failed run is repeated by its seed"
)]
fn asked((seed, runs): (u64, u64)) -> (u64, u64) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text: String| text.parse().ok())
    };
    match (number("TARANA_SEED"), number("TARANA_RUNS")) {
        (Some(seed), runs) => (seed, runs.unwrap_or(1)),
        (None, asked) => (seed, asked.unwrap_or(runs)),
    }
}

async fn at_random(these: (u64, u64)) {
    let (seed, runs) = asked(these);
    println!("{runs} runs from TARANA_SEED={seed}");
    let tally = try_all((seed..seed + runs).map(dice::case).collect()).await;
    println!("{tally:?}");
    let completed = tally.get("Completed").copied().unwrap_or_default();
    let all: usize = tally.values().sum();
    if runs > 50 {
        assert!(
            completed * 10 > all && completed * 10 < all * 9,
            "too one-sided to tell much: {tally:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_in_pairs_at_random() {
    at_random(EVERY_TIME).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn lies_in_pairs_at_random_for_long() {
    let seed = u64::from(uuid::Uuid::new_v4().as_fields().0);
    at_random((seed, 3000)).await;
}
