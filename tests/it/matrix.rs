//! Fault injection at every effect of a run (each write to the API server, each COMMIT, each login). The outcome must equal
//! that of an undisturbed run: table, change rows, counts, one closed log row, one event of its request and one of its end in the outbox, conditions.
//!
//! - `crash` kills the operator, once before the effect reaches the server and once after the server processed it. A new
//!   process finishes the run without charging an attempt.
//! - `network` cuts, stalls or slows the connection at the effect. The operator recovers by itself and logs the fault.
//! - `outages` makes one of the three servers unreachable or unresponsive.
//!
//! `make test` takes a sample of the effects, `make test-long` all of them.
//!
//! `scenario` lists the kinds of runs and disruptions, `test_bed` executes the cases, `outcome` compares. A failed case
//! prints scenario, disruption, number and name of the effect.

mod crash;
mod network;
mod outages;
mod outcome;
mod scenario;
mod test_bed;

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::future::join_all;

use devenv::proxy::Target;
use scenario::{Disruption, Scenario};
use test_bed::TestBed;

/// More effects than any run has.
const MAX_EFFECTS: usize = 60;
/// After this many failures no further case is started.
const MAX_FAILURES: usize = 6;

const FINALIZER: &str = "PATCH taranasyncs/run";
const STATUS: &str = "PUT taranasyncs/run/status";
const CONNECTION: &str = "PUT taranaconnections/default/status";
const EVENT: &str = "POST events";
const COMMIT: &str = "COMMIT";
const LOGIN: &str = "login";

/// One disruption of one effect.
#[derive(Clone, Copy)]
struct Case {
    target: Target,
    disruption: Disruption,
    /// Every run has this effect: not reaching it is a failure.
    is_required: bool,
}

/// Which effects are disrupted.
#[derive(Clone, Copy)]
enum Extent {
    Whole,
    /// Every third, and the first of each required name that these miss.
    Sample,
}

impl Extent {
    fn step(self) -> usize {
        match self {
            Self::Whole => 1,
            Self::Sample => 3,
        }
    }
}

/// The cases that remain, and the results of those that were executed.
struct CaseQueue {
    disruptions: Vec<Disruption>,
    extent: Extent,
    /// Only effects of this name; otherwise all.
    only: Option<&'static str>,
    /// Effects that every run has. Their order differs between runs, so that those which the numbered cases miss are targeted
    /// by name afterwards.
    required: Vec<&'static str>,
    next: usize,
    /// The first number that no run reaches.
    end: usize,
    /// Disruptions by target and effect.
    covered: BTreeMap<(String, String), Vec<Disruption>>,
    failures: Vec<String>,
}

impl CaseQueue {
    fn new(
        disruptions: &[Disruption],
        extent: Extent,
        only: Option<&'static str>,
        required: &[&'static str],
    ) -> Self {
        Self {
            disruptions: disruptions.to_vec(),
            extent,
            only,
            required: required.to_vec(),
            next: 0,
            end: MAX_EFFECTS,
            covered: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// All disruptions of one effect come before the next effect.
    fn next_case(&mut self) -> Option<Case> {
        if self.failures.len() >= MAX_FAILURES {
            return None;
        }
        let count = self.disruptions.len();
        let nth = self.next / count * self.extent.step() + 1;
        let disruption = self.disruptions[self.next % count];
        if nth < self.end {
            self.next += 1;
            let target = self
                .only
                .map_or(Target::Nth(nth), |name| Target::NthNamed(nth, name));
            return Some(Case {
                target,
                disruption,
                is_required: false,
            });
        }
        let (effect, disruption) = self.next_uncovered()?;
        let target = Target::NthNamed(1, effect);
        self.record(target, effect, disruption);
        Some(Case {
            target,
            disruption,
            is_required: true,
        })
    }

    fn next_uncovered(&self) -> Option<(&'static str, Disruption)> {
        let pairs = self.required.iter().flat_map(|effect| {
            let disruptions = self.disruptions.iter();
            disruptions.map(move |disruption| (*effect, *disruption))
        });
        pairs.into_iter().find(|(effect, disruption)| {
            let mut covered = self.covered.iter();
            !covered.any(|((_, name), disruptions)| name == effect && disruptions.contains(disruption))
        })
    }

    fn record(&mut self, target: Target, effect: &str, disruption: Disruption) {
        let effect = (format!("{target:?}"), effect.to_owned());
        self.covered.entry(effect).or_default().push(disruption);
    }

    fn fail(&mut self, scenario: Scenario, case: Case, error: &str) {
        let (disruption, target) = (case.disruption, case.target);
        self.failures
            .push(format!("{scenario:?}: {disruption:?} at {target:?}: {error}"));
    }

    fn finish(self, scenario: Scenario) {
        for ((target, effect), disruptions) in &self.covered {
            println!("{scenario:?}: {target:<40} {effect:<40} {disruptions:?}");
        }
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n\n"));
    }
}

/// Executes every disruption at the effects of the scenario, in this many test beds concurrently.
async fn test_effects(
    extent: Extent,
    scenario: Scenario,
    disruptions: &[Disruption],
    test_beds: usize,
    required: &[&'static str],
) {
    let queue = CaseQueue::new(disruptions, extent, None, required);
    execute(scenario, queue, test_beds).await;
}

/// The same for all effects of one name.
async fn test_effects_named(
    scenario: Scenario,
    disruptions: &[Disruption],
    test_beds: usize,
    name: &'static str,
) {
    let queue = CaseQueue::new(disruptions, Extent::Whole, Some(name), &[name]);
    execute(scenario, queue, test_beds).await;
}

async fn execute(scenario: Scenario, queue: CaseQueue, test_beds: usize) {
    let queue = Mutex::new(queue);
    let test_beds = (0..test_beds).map(|_| async {
        let mut test_bed = TestBed::new(scenario).await;
        loop {
            let Some(case) = queue.lock().unwrap().next_case() else {
                return;
            };
            let result = test_bed.run_case(case.target, case.disruption).await;
            let mut queue = queue.lock().unwrap();
            match (result, case.target) {
                (None, _) if case.is_required => queue.fail(scenario, case, "no run has this effect"),
                // The number of effects differs by one or two between runs.
                (None, Target::Nth(nth) | Target::NthNamed(nth, _)) => queue.end = queue.end.min(nth + 3),
                (Some((effect, comparison)), _) => {
                    if let Err(difference) = comparison {
                        queue.fail(scenario, case, &format!("{effect}:\n{difference}"));
                    }
                    queue.record(case.target, &effect, case.disruption);
                }
            }
        }
    });
    join_all(test_beds).await;
    queue.into_inner().unwrap().finish(scenario);
}
