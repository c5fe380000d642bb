//! Liveness: from every reachable world, if no more faults occur, every process takes steps and the clock advances, every
//! run ends.

use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::DefaultHasher;

use super::definition::{EffectOutcome, Event, Model};
use super::world::{OPERATORS, World};

/// A run that has not ended after this many rounds never ends.
const MAX_ROUNDS: usize = 200;
/// Rounds per tick of the clock.
const ROUNDS_PER_TICK: usize = 10;

impl Model {
    pub(super) fn ends_without_further_faults(&self, world: &World) -> bool {
        let mut world = *world;
        let mut passed = Vec::new();
        for round in 0..MAX_ROUNDS {
            let print = BuildHasherDefault::<DefaultHasher>::default().hash_one(world);
            let known = self
                .known_to_end
                .lock()
                .is_ok_and(|known_to_end| known_to_end.contains(&print));
            passed.push(print);
            if known || world.is_over() {
                if let Ok(mut known_to_end) = self.known_to_end.lock() {
                    known_to_end.extend(passed);
                }
                return true;
            }
            self.round(&mut world, round);
        }
        false
    }

    /// Every process takes a step.
    fn round(&self, world: &mut World, round: usize) {
        let mut one = |event| {
            let mut next = *world;
            if self.apply_event(&mut next, event).is_some() {
                self.settle(&mut next);
                *world = next;
            }
        };
        for who in 0..OPERATORS {
            one(Event::Verified { who });
            for run in 0..self.runs {
                one(Event::Watch { who, run });
                one(Event::Step {
                    who,
                    run,
                    outcome: EffectOutcome::Success,
                });
                one(Event::Sweep { who, run });
            }
        }
        if round % ROUNDS_PER_TICK == ROUNDS_PER_TICK - 1 {
            world.clock += 1;
        }
    }
}
