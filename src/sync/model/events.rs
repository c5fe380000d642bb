//! How each event changes the world.

use super::definition::{EffectOutcome, Event, Model};
use super::reconcile::Reconcile;
use super::values::INSTANTS;
use super::world::{Effect, OPERATORS, Object, Operator, RowState, TaskState, World};
use super::{database, values};

impl Model {
    fn step(&self, world: &mut World, who: usize, run: usize, outcome: EffectOutcome) -> Option<()> {
        let step = Reconcile {
            model: self,
            who,
            run,
        };
        let task = world.operators[who].tasks[run];
        match task.at {
            TaskState::Idle { timer: true } => step.begin(world),
            TaskState::Deciding(object) => {
                let at = step.next(world, object);
                step.set(world, at);
            }
            TaskState::Executing(..) => {
                if matches!(
                    outcome,
                    EffectOutcome::Failed | EffectOutcome::AnswerLost | EffectOutcome::PermanentFault
                ) {
                    world.budget.faults = world.budget.faults.checked_sub(1)?;
                }
                return step.effect(world, outcome);
            }
            TaskState::Idle { .. } => return None,
        }
        (outcome == EffectOutcome::Success).then_some(())
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

    /// A user changes an object.
    fn user(world: &mut World, run: usize, cancel: bool) -> Option<()> {
        let mut object = world.objects[run]?;
        if cancel {
            world.budget.cancels = world.budget.cancels.checked_sub(1)?;
        } else {
            world.budget.deletes = world.budget.deletes.checked_sub(1)?;
        }
        if (cancel && object.cancel) || object.deleting {
            return None;
        }
        object.cancel |= cancel;
        object.deleting |= !cancel;
        object.version += 1;
        world.objects[run] = (object.finalizer || !object.deleting).then_some(object);
        Some(())
    }

    fn crash(world: &mut World, who: usize) -> Option<()> {
        world.budget.crashes = world.budget.crashes.checked_sub(1)?;
        world.operators[who] = Operator::started(&world.objects);
        Some(())
    }

    fn idle(world: &mut World, who: usize, run: usize) -> Option<()> {
        let TaskState::Executing(object, Effect::Commit { alive: true }) = world.task(who, run).at else {
            return None;
        };
        world.budget.faults = world.budget.faults.checked_sub(1)?;
        world.task(who, run).at = TaskState::Executing(object, Effect::Commit { alive: false });
        Some(())
    }

    fn sweep(world: &mut World, who: usize, run: usize) -> Option<()> {
        let operator = world.operators[who];
        let is_live = |o: Object| !o.phase().is_final();
        // A cache receives a new run within the grace period of its row.
        let live = operator.tasks[run]
            .cache
            .map_or(world.objects[run].is_some_and(is_live), is_live);
        let open = matches!(world.rows[run].state, RowState::Pending | RowState::Running);
        if live || !open || !operator.verified {
            return None;
        }
        let end = if world.rows[run].state == RowState::Pending {
            values::deleted()
        } else {
            values::abandoned()
        };
        database::sweep(world, run, end);
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

    /// The immediate consequences of an event.
    pub(super) fn settle(&self, world: &mut World) {
        for (who, run) in (0..OPERATORS).flat_map(|who| (0..self.runs).map(move |run| (who, run))) {
            if self.caches_current && world.task(who, run).cache.is_some() {
                let _ = Self::watch(world, who, run);
            }
        }
        world.canonicalize(self.runs);
    }

    pub(super) fn apply_event(&self, world: &mut World, event: Event) -> Option<()> {
        match event {
            Event::Step { who, run, outcome } => self.step(world, who, run, outcome),
            Event::Watch { who, run } => Self::watch(world, who, run),
            Event::Verified { who } => Self::verified(world, who),
            Event::Sweep { who, run } => Self::sweep(world, who, run),
            Event::Crash { who } => Self::crash(world, who),
            Event::Idle { who, run } => Self::idle(world, who, run),
            Event::Cancel { run } => Self::user(world, run, true),
            Event::Delete { run } => Self::user(world, run, false),
            Event::Tick => {
                world.budget.forwards = world.budget.forwards.checked_sub(1)?;
                world.clock += 1;
                (usize::from(world.clock) < INSTANTS.len()).then_some(())
            }
            Event::ClockBack => {
                world.budget.backwards = world.budget.backwards.checked_sub(1)?;
                world.clock = if world.clock == 0 { return None } else { 0 };
                Some(())
            }
        }
    }
}
