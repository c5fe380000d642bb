//! The machine explored as a model: two operators, up to two runs on one connection, and all the bad luck that there
//! is, in every order. See the README beside this.

mod calm;
mod effect;
mod real;
mod store;
mod tests;
mod turn;
mod world;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use stateright::Property;

use self::real::INSTANTS;
use self::turn::Turn;
use self::world::{At, Do, OPERATORS, Operator, RUNS, RowState, World};
use crate::api::sync::Phase;

/// A rule that can be taken out, to see that the model misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The fence is compared before a row is changed.
    Fence,
    /// One running row for a connection.
    OneRunning,
    /// The API server refuses a write that carries an old version.
    Versions,
    /// Going on with another's attempt is not charged.
    FreeResume,
    /// The status shows the fence, so that a take-over is a change of it.
    ShownFence,
}

/// All rules, but for one perhaps.
#[derive(Clone, Copy, Debug)]
struct Rules {
    without: Option<Rule>,
}

impl Rules {
    fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}

/// How an effect comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Good,
    /// It did not happen, and the process sees a fault that may pass.
    Away,
    /// It happened, and the process sees a fault that may pass.
    Lost,
    /// It did not happen, and the process sees a fault that will not pass.
    Lasting,
    /// The process dropped it: it did not happen.
    Interrupted,
    /// The process dropped it, and it happened all the same.
    TooLate,
    /// It takes so long that the status tells of it.
    Slow,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A process begins a turn, reads the answer to its last effect, or has its next effect.
    Step { who: usize, run: usize, luck: Luck },
    /// The watch cache of a process catches up.
    Watch { who: usize, run: usize },
    /// A process has tried the connection.
    Verified { who: usize },
    /// The sweeper of a process looks at a run.
    Sweep { who: usize, run: usize },
    /// A process is killed, and another one started in its place.
    Crash { who: usize },
    /// The server gives up a transaction in which nothing was said for a while.
    Idle { who: usize, run: usize },
    /// A person sets `spec.cancel`.
    Cancel { run: usize },
    /// A person deletes the object.
    Delete { run: usize },
    /// The clock goes on to an instant that matters.
    Tick,
    /// The clock is set back to where it began.
    Back,
}

/// What is explored.
#[derive(Clone)]
struct Model {
    rules: Rules,
    runs: usize,
    luck: world::Luck,
    backoff_limit: i32,
    /// The watch caches know of every change at once, but for a run that one of them has not heard of yet.
    keeps_up: bool,
    /// Events after which nothing is looked at any more; 0 looks at all there is.
    depth: usize,
    /// Worlds that are known to come to an end in calm weather.
    calm: Arc<Mutex<HashSet<u64>>>,
}

impl Model {
    fn new(runs: usize, luck: world::Luck) -> Self {
        Self {
            rules: Rules { without: None },
            runs,
            luck,
            backoff_limit: 1,
            keeps_up: false,
            depth: 0,
            calm: Arc::default(),
        }
    }

    fn step(&self, world: &mut World, who: usize, run: usize, luck: Luck) -> Option<()> {
        let turn = Turn {
            model: self,
            who,
            run,
        };
        let task = world.operators[who].tasks[run];
        match task.at {
            At::Asleep { timer: true } => turn.begin(world),
            At::Turn(object) => {
                let at = turn.next(world, object);
                turn.set(world, at);
            }
            At::Doing(..) => {
                if matches!(luck, Luck::Away | Luck::Lost | Luck::Lasting) {
                    world.luck.faults = world.luck.faults.checked_sub(1)?;
                }
                return turn.effect(world, luck);
            }
            At::Asleep { .. } => return None,
        }
        (luck == Luck::Good).then_some(())
    }

    fn watch(world: &mut World, who: usize, run: usize) -> Option<()> {
        let now = world.objects[run];
        let task = world.task(who, run);
        if task.cache.map(|o| o.version) == now.map(|o| o.version) {
            return None;
        }
        task.cache = now;
        task.wake();
        Some(())
    }

    /// What a person does to an object, without a word to the operators.
    fn person(world: &mut World, run: usize, cancel: bool) -> Option<()> {
        let mut object = world.objects[run]?;
        if cancel {
            world.luck.cancels = world.luck.cancels.checked_sub(1)?;
        } else {
            world.luck.deletes = world.luck.deletes.checked_sub(1)?;
        }
        if (cancel && object.cancel) || object.leaving {
            return None;
        }
        object.cancel |= cancel;
        object.leaving |= !cancel;
        object.version += 1;
        world.objects[run] = (object.held || !object.leaving).then_some(object);
        Some(())
    }

    fn crash(world: &mut World, who: usize) -> Option<()> {
        world.luck.crashes = world.luck.crashes.checked_sub(1)?;
        world.operators[who] = Operator::started(&world.objects);
        Some(())
    }

    fn idle(world: &mut World, who: usize, run: usize) -> Option<()> {
        let At::Doing(object, Do::Commit { alive: true }) = world.task(who, run).at else {
            return None;
        };
        world.luck.faults = world.luck.faults.checked_sub(1)?;
        world.task(who, run).at = At::Doing(object, Do::Commit { alive: false });
        Some(())
    }

    fn sweep(world: &mut World, who: usize, run: usize) -> Option<()> {
        let operator = world.operators[who];
        let is_live = |o: world::Object| !o.phase().is_final();
        // A cache that has not heard of a run yet hears of it within the grace that a row has.
        let live = operator.tasks[run]
            .cache
            .map_or(world.objects[run].is_some_and(is_live), is_live);
        let open = matches!(world.rows[run].state, RowState::Pending | RowState::Running);
        if live || !open || !operator.verified {
            return None;
        }
        store::sweep(world, run, real::abandoned());
        Some(())
    }

    fn verified(world: &mut World, who: usize) -> Option<()> {
        let operator = &mut world.operators[who];
        if operator.verified {
            return None;
        }
        operator.verified = true;
        for task in &mut operator.tasks {
            if task.cache.is_some_and(|o| !o.phase().is_final()) {
                task.wake();
            }
        }
        Some(())
    }

    /// What follows from an event at once.
    fn settle(&self, world: &mut World) {
        for (who, run) in (0..OPERATORS).flat_map(|who| (0..self.runs).map(move |run| (who, run))) {
            if self.keeps_up && world.task(who, run).cache.is_some() {
                let _ = Self::watch(world, who, run);
            }
        }
        world.tidy(self.runs);
    }

    fn happens(&self, world: &mut World, event: Event) -> Option<()> {
        match event {
            Event::Step { who, run, luck } => self.step(world, who, run, luck),
            Event::Watch { who, run } => Self::watch(world, who, run),
            Event::Verified { who } => Self::verified(world, who),
            Event::Sweep { who, run } => Self::sweep(world, who, run),
            Event::Crash { who } => Self::crash(world, who),
            Event::Idle { who, run } => Self::idle(world, who, run),
            Event::Cancel { run } => Self::person(world, run, true),
            Event::Delete { run } => Self::person(world, run, false),
            Event::Tick => {
                world.luck.forwards = world.luck.forwards.checked_sub(1)?;
                world.clock += 1;
                (usize::from(world.clock) < INSTANTS.len()).then_some(())
            }
            Event::Back => {
                world.luck.backwards = world.luck.backwards.checked_sub(1)?;
                world.clock = if world.clock == 0 { return None } else { 0 };
                Some(())
            }
        }
    }
}

impl stateright::Model for Model {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut world = World::new(self.runs, self.luck);
        if self.runs > 1 {
            world.adopted();
            let unheard = &mut world.operators[1].tasks[0];
            (unheard.cache, unheard.at) = (None, At::Asleep { timer: false });
        }
        world.tidy(self.runs);
        vec![world]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.is_over() {
            return;
        }
        for who in 0..OPERATORS {
            for run in 0..self.runs {
                let faulty: &[Luck] = match world.operators[who].tasks[run].at {
                    At::Doing(..) if world.luck.faults > 0 => &[Luck::Away, Luck::Lost, Luck::Lasting],
                    _ => &[],
                };
                let lucks = [Luck::Good, Luck::Interrupted, Luck::TooLate, Luck::Slow];
                events.extend(
                    lucks
                        .iter()
                        .chain(faulty)
                        .map(|&luck| Event::Step { who, run, luck }),
                );
                events.extend([
                    Event::Watch { who, run },
                    Event::Sweep { who, run },
                    Event::Idle { who, run },
                ]);
            }
            events.extend([Event::Verified { who }, Event::Crash { who }]);
        }
        for run in 0..self.runs {
            events.extend([Event::Cancel { run }, Event::Delete { run }]);
        }
        events.extend([Event::Tick, Event::Back]);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = *world;
        self.happens(&mut next, event)?;
        self.settle(&mut next);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_RUNS, |_, w: &World| {
                w.rows.iter().filter(|r| r.state == RowState::Running).count() <= 1
            }),
            Property::always(ONE_APPLIES, |_, w: &World| w.applies() <= 1),
            Property::always(ONE_END, |_, w: &World| !w.notes.ended_twice),
            Property::always(FENCED_ROW, |_, w: &World| !w.notes.fenced_row),
            Property::always(FENCED_STATUS, |_, w: &World| !w.notes.fenced_status),
            Property::always(CHARGED, |m: &Self, w: &World| {
                let within = |(o, failed): (&Option<world::Object>, &u8)| {
                    o.is_none_or(|o| o.status.attempt <= (1 + i32::from(*failed)).min(m.backoff_limit + 1))
                };
                w.objects.iter().zip(&w.notes.failed).all(within)
            }),
            Property::always(SAME_END, |_, w: &World| (0..RUNS).all(|run| same_end(w, run))),
            Property::always(WRITTEN_ONCE, |_, w: &World| {
                let completed = |run: usize| w.rows[run].state == RowState::Ended(None);
                (0..RUNS).all(|run| w.notes.applied[run] == u8::from(completed(run)))
            }),
            Property::always(ENDS, Self::ends_in_calm_weather),
            Property::sometimes(COMPLETES, |_, w: &World| w.notes.applied[0] > 0 && w.is_over()),
        ]
    }
}

const ONE_RUNS: &str = "at most one run of a connection is running";
const ONE_APPLIES: &str = "at most one operator applies";
const ONE_END: &str = "a row ends once, and its end never changes";
const FENCED_ROW: &str = "a fenced operator changes nothing in the database";
const FENCED_STATUS: &str = "a fenced operator does not write over the status of its successor";
const CHARGED: &str = "an attempt is charged for a fault, once, and for nothing else";
const SAME_END: &str = "the object ends as its row does";
const WRITTEN_ONCE: &str = "the table is written once for each completed run, and for no other";
const ENDS: &str = "every run ends";
const COMPLETES: &str = "a run completes";

/// What was committed is never denied. A run that had to end without its row, since there was no way to it, may be called
/// by another name there: the sweeper closes it as abandoned.
fn same_end(world: &World, run: usize) -> bool {
    let (Some(object), RowState::Ended(closed)) = (world.objects[run], world.rows[run].state) else {
        return true;
    };
    let phase = closed.map_or(Phase::Completed, |end| end.phase);
    !object.phase().is_final() || world.notes.unasked[run] || object.phase() == phase
}
