//! Every effect of a run (each write to the API server, each COMMIT, each login) goes wrong in every way, and the end is
//! that of a calm day: table, change rows, counts, one log row that has ended, one event in the outbox, conditions.
//!
//! `crash`: the operator is killed (SIGKILL), once just before the effect arrives and once when the server has done it and
//! the answer is not back; a new process finishes the work, and no attempt is charged. `wires`: the wire is cut, stalls for
//! longer than anybody waits, or is slow; the operator goes on by itself, and says what is wrong. `away`: one of the three
//! servers is away for half a minute, or stands still.
//!
//! `scenario` says what is tried, `lane` brings one case after the other about, `end` is what is compared. A case that fails
//! names its scenario, what befell it, the number of the effect, and the effect.

mod away;
mod crash;
mod end;
mod lane;
mod scenario;
mod wires;

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::future::join_all;

use devenv::wires::Target;
use lane::Lane;
use scenario::{Blow, Scenario};

/// More effects than any run has.
const ENDLESS: usize = 60;
/// So many failures tell enough.
const TELLING: usize = 6;

const FINALIZER: &str = "PATCH taranasyncs/run";
const STATUS: &str = "PUT taranasyncs/run/status";
const CONNECTION: &str = "PUT taranaconnections/default/status";
const EVENT: &str = "POST events";
const COMMIT: &str = "COMMIT";
const LOGIN: &str = "login";

/// The cases that are left, and what came of the others.
struct Board {
    blows: Vec<Blow>,
    /// Effects that every run has. The order of effects differs from run to run: one that no blow of the walk met is then
    /// caught by its name.
    expected: Vec<&'static str>,
    next: usize,
    /// The first effect that no run gets to.
    beyond: usize,
    /// What befell which effects.
    met: BTreeMap<(String, String), Vec<Blow>>,
    failed: Vec<String>,
}

impl Board {
    /// Each effect meets all blows before the next one is tried.
    fn draw(&mut self) -> Option<(Target, Blow)> {
        if self.failed.len() >= TELLING {
            return None;
        }
        let (nth, which) = (self.next / self.blows.len() + 1, self.next % self.blows.len());
        if nth < self.beyond {
            self.next += 1;
            return Some((Target::Nth(nth), self.blows[which]));
        }
        let (effect, blow) = self.unmet()?;
        self.record(Target::NthNamed(1, effect), effect, blow);
        Some((Target::NthNamed(1, effect), blow))
    }

    fn unmet(&self) -> Option<(&'static str, Blow)> {
        let pairs = self
            .expected
            .iter()
            .flat_map(|effect| self.blows.iter().map(move |blow| (*effect, *blow)));
        pairs.into_iter().find(|(effect, blow)| {
            let mut met = self.met.iter();
            !met.any(|((_, name), blows)| name == effect && blows.contains(blow))
        })
    }

    fn record(&mut self, target: Target, effect: &str, blow: Blow) {
        let effect = (format!("{target:?}"), effect.to_owned());
        self.met.entry(effect).or_default().push(blow);
    }

    fn fail(&mut self, scenario: Scenario, target: Target, blow: Blow, wrong: &str) {
        self.failed
            .push(format!("{scenario:?}: {blow:?} at {target:?}: {wrong}"));
    }
}

/// Tries every effect of the scenario with every blow, in so many worlds side by side; these effects must be among them.
async fn matrix(scenario: Scenario, blows: &[Blow], lanes: usize, expected: &[&'static str]) {
    let board = Mutex::new(Board {
        blows: blows.to_vec(),
        expected: expected.to_vec(),
        next: 0,
        beyond: ENDLESS,
        met: BTreeMap::new(),
        failed: Vec::new(),
    });
    let lanes = (0..lanes).map(|_| async {
        let mut lane = Lane::new(scenario).await;
        loop {
            let Some((target, blow)) = board.lock().unwrap().draw() else {
                return;
            };
            let met = lane.case(target, blow).await;
            let mut board = board.lock().unwrap();
            match (met, target) {
                // What a run costs differs by one or two, by what its connection had to tell.
                (None, Target::Nth(nth)) => board.beyond = board.beyond.min(nth + 3),
                (None, Target::NthNamed(..)) => board.fail(scenario, target, blow, "no run came to it"),
                (Some((effect, verdict)), _) => {
                    if let Err(wrong) = verdict {
                        board.fail(scenario, target, blow, &format!("{effect}:\n{wrong}"));
                    }
                    board.record(target, &effect, blow);
                }
            }
        }
    });
    join_all(lanes).await;
    let board = board.into_inner().unwrap();
    for ((target, effect), blows) in &board.met {
        println!("{scenario:?}: {target:<40} {effect:<40} {blows:?}");
    }
    assert!(board.failed.is_empty(), "{}", board.failed.join("\n\n"));
}
