//! The properties that hold in every world, and the model for the checker.

use stateright::Property;

use super::definition::{EffectOutcome, Event, Model};
use super::world::{OPERATORS, Object, RUNS, RowState, TaskState, World};
use crate::api::sync::Phase;

impl stateright::Model for Model {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut world = World::new(self.runs, self.budget);
        if self.runs > 1 {
            world.skip_registration();
            let uncached = &mut world.operators[1].tasks[0];
            (uncached.cache, uncached.at) = (None, TaskState::Idle { timer: false });
        }
        world.canonicalize(self.runs);
        vec![world]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        if world.is_over() {
            return;
        }
        for who in 0..OPERATORS {
            for run in 0..self.runs {
                let faulty: &[EffectOutcome] = match world.operators[who].tasks[run].at {
                    TaskState::Executing(..) if world.budget.faults > 0 => &[
                        EffectOutcome::Failed,
                        EffectOutcome::AnswerLost,
                        EffectOutcome::PermanentFault,
                    ],
                    _ => &[],
                };
                let outcomes = [
                    EffectOutcome::Success,
                    EffectOutcome::Interrupted,
                    EffectOutcome::InterruptedTooLate,
                    EffectOutcome::Slow,
                ];
                events.extend(outcomes.iter().chain(faulty).map(|&outcome| Event::Step {
                    who,
                    run,
                    outcome,
                }));
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
        events.extend([Event::Tick, Event::ClockBack]);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        let mut next = *world;
        self.apply_event(&mut next, event)?;
        self.settle(&mut next);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_RUNNING, |_, w: &World| {
                w.rows.iter().filter(|r| r.state == RowState::Running).count() <= 1
            }),
            Property::always(ONE_APPLYING, |_, w: &World| w.apply_count() <= 1),
            Property::always(ONE_END, |_, w: &World| !w.history.closed_twice),
            Property::always(FENCED_ROW, |_, w: &World| !w.history.fenced_row),
            Property::always(FENCED_STATUS, |_, w: &World| !w.history.fenced_status),
            Property::always(CHARGED, |m: &Self, w: &World| {
                let within = |(o, failed): (&Option<Object>, &u8)| {
                    o.is_none_or(|o| o.status.attempt <= (1 + i32::from(*failed)).min(m.backoff_limit + 1))
                };
                w.objects.iter().zip(&w.history.failed).all(within)
            }),
            Property::always(SAME_END, |_, w: &World| (0..RUNS).all(|run| same_end(w, run))),
            Property::always(WRITTEN_ONCE, |_, w: &World| {
                let completed = |run: usize| w.rows[run].state == RowState::Closed(None);
                (0..RUNS).all(|run| w.history.applied[run] == u8::from(completed(run)))
            }),
            Property::always(ENDS, Self::ends_without_further_faults),
            Property::sometimes(COMPLETES, |_, w: &World| w.history.applied[0] > 0 && w.is_over()),
        ]
    }
}

pub(super) const ONE_RUNNING: &str = "at most one run of a connection is running";
pub(super) const ONE_APPLYING: &str = "at most one operator applies";
pub(super) const ONE_END: &str = "a row is closed once and never changes afterwards";
pub(super) const FENCED_ROW: &str = "a fenced operator changes nothing in the database";
pub(super) const FENCED_STATUS: &str = "a fenced operator does not overwrite the status of its successor";
pub(super) const CHARGED: &str = "an attempt is charged once per fault and for nothing else";
pub(super) const SAME_END: &str = "the object ends like its row";
pub(super) const WRITTEN_ONCE: &str = "the table is written once per completed run and by no other run";
pub(super) const ENDS: &str = "every run ends";
pub(super) const COMPLETES: &str = "a run completes";

/// A commit is never denied. A run that ended without access to its row may have another end there: the sweeper closes it as
/// abandoned.
fn same_end(world: &World, run: usize) -> bool {
    let (Some(object), RowState::Closed(closed)) = (world.objects[run], world.rows[run].state) else {
        return true;
    };
    let phase = closed.map_or(Phase::Completed, |end| end.phase);
    !object.phase().is_final() || world.history.row_unavailable[run] || object.phase() == phase
}
