//! "Every run ends", as a question about one world: the bad luck is over, every process gets its turn, the clock goes
//! on: do all runs come to their end?

use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::DefaultHasher;

use super::world::{OPERATORS, World};
use super::{Event, Luck, Model};

/// Rounds after which a run that has not ended never will.
const LONG: usize = 200;
/// Rounds between two ticks of the clock.
const TICK: usize = 10;

impl Model {
    pub(super) fn ends_in_calm_weather(&self, world: &World) -> bool {
        let mut world = *world;
        let mut passed = Vec::new();
        for round in 0..LONG {
            let print = BuildHasherDefault::<DefaultHasher>::default().hash_one(world);
            let known = self.calm.lock().is_ok_and(|calm| calm.contains(&print));
            passed.push(print);
            if known || world.is_over() {
                if let Ok(mut calm) = self.calm.lock() {
                    calm.extend(passed);
                }
                return true;
            }
            self.round(&mut world, round);
        }
        false
    }

    /// Everybody once.
    fn round(&self, world: &mut World, round: usize) {
        let mut one = |event| {
            let mut next = *world;
            if self.happens(&mut next, event).is_some() {
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
                    luck: Luck::Good,
                });
                one(Event::Sweep { who, run });
            }
        }
        if round % TICK == TICK - 1 {
            world.clock += 1;
        }
    }
}
