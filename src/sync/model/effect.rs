//! Effects and their answers: `run`, `steps` and `record` from their first `await` on.

use super::database::{self, Answer};
use super::definition::{EffectOutcome, Rule};
use super::functions;
use super::reconcile::{REQUEUED, Reconcile, now, put, put_status};
use super::values::{FaultKind, InternedStatus, InternedTermination, ResultSource, Transition};
use super::world::{AfterWrite, Effect, Object, Open, TaskState, World};
use crate::api::sync::Step;

/// The result of a write to the API server.
enum WriteResult {
    Written(Object),
    Conflict,
}

impl Reconcile<'_> {
    /// Executes the next effect of the task with this outcome. `None` if the outcome is impossible.
    pub fn effect(&self, world: &mut World, outcome: EffectOutcome) -> Option<()> {
        let TaskState::Executing(object, what) = world.task(self.who, self.run).at else {
            return None;
        };
        let at = match what {
            Effect::Finalizer(_) | Effect::Put { .. } => self.write(world, object, what, outcome)?,
            Effect::Register(transition) => self.register(world, object, transition, outcome)?,
            Effect::Ask(open) => self.ask(world, object, open, outcome)?,
            Effect::Open(open) => self.open(world, object, open, outcome)?,
            Effect::Fetch => self.fetch(world, object, outcome)?,
            Effect::Begin => self.begin_apply(world, object, outcome)?,
            Effect::Commit { alive } => self.commit(world, object, alive, outcome)?,
            Effect::Note { status, fence } => self.note(world, object, status, fence, outcome)?,
            Effect::Close { end, failing } => self.close(world, object, (end, failing), outcome)?,
        };
        self.set(world, at);
        Some(())
    }

    fn write(
        &self,
        world: &mut World,
        object: Object,
        what: Effect,
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        // A failed request ends the reconcile; the next one starts from the cache.
        match outcome {
            EffectOutcome::Success => {}
            EffectOutcome::Failed => return Some(REQUEUED),
            EffectOutcome::AnswerLost => {
                self.land(world, object, what);
                return Some(REQUEUED);
            }
            _ => return None,
        }
        let WriteResult::Written(written) = self.land(world, object, what) else {
            return Some(REQUEUED);
        };
        let state = &mut world.task(self.who, self.run).state;
        state.newest_version = state.newest_version.max(written.version);
        state.ended |= written.phase().is_final();
        if matches!(what, Effect::Finalizer(false)) {
            self.wake_others(world);
        }
        Some(match what {
            Effect::Put {
                then: AfterWrite::Requeue,
                ..
            } => REQUEUED,
            Effect::Put {
                then: AfterWrite::OwnFence(fence),
                ..
            } => {
                let state = &mut world.task(self.who, self.run).state;
                (state.fence, state.fetched, state.registered, state.fenced_until) =
                    (Some(fence), false, true, None);
                TaskState::Deciding(written)
            }
            _ => TaskState::Deciding(written),
        })
    }

    /// `Connections::run_ended`: the active runs of the connection reconcile.
    fn wake_others(&self, world: &mut World) {
        for task in &mut world.operators[self.who].tasks {
            if task.cache.is_some_and(|o| !o.phase().is_final()) {
                task.wake();
            }
        }
    }

    /// The write on the API server, which compares the version. After a conflict the status is still written if nobody else
    /// changed it (`Record::refetch_after_conflict`).
    fn land(&self, world: &mut World, local: Object, what: Effect) -> WriteResult {
        let versions = self.model.rules.is_enabled(Rule::Versions);
        let Some(mut object) = world.objects[self.run] else {
            return WriteResult::Conflict;
        };
        match what {
            Effect::Put { status, fence, .. } => {
                if versions
                    && object.version != local.version
                    && !functions::same_status_without_progress(&object, &local)
                {
                    // The version that the process has read after the conflict; an older cache is stale.
                    let state = &mut world.task(self.who, self.run).state;
                    state.newest_version = state.newest_version.max(object.version);
                    return WriteResult::Conflict;
                }
                self.show(world, status, fence);
                object.status = status;
            }
            Effect::Finalizer(wanted) => {
                if versions && object.version != local.version {
                    return WriteResult::Conflict;
                }
                object.finalizer = wanted;
            }
            _ => {}
        }
        object.version += 1;
        world.objects[self.run] = (object.finalizer || !object.deleting).then_some(object);
        WriteResult::Written(object)
    }

    /// Records who has written, for the properties.
    pub fn show(&self, world: &mut World, status: InternedStatus, fence: Option<i64>) {
        let Some(fence) = fence else {
            return;
        };
        let shown = &mut world.history.shown[self.run];
        world.history.fenced_status |= fence < *shown && !status.phase.is_final();
        *shown = fence.max(*shown);
    }

    fn register(
        &self,
        world: &mut World,
        object: Object,
        transition: Transition,
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        match outcome {
            EffectOutcome::Success => {
                database::register(world, self.run);
                world.task(self.who, self.run).state.registered = true;
            }
            EffectOutcome::Failed => {}
            EffectOutcome::AnswerLost => database::register(world, self.run),
            _ => return None,
        }
        Some(put(object, transition, now(world), AfterWrite::Requeue, None))
    }

    /// `SyncRun::defer_to_owner`.
    fn ask(&self, world: &World, object: Object, open: Open, outcome: EffectOutcome) -> Option<TaskState> {
        let quiet = database::heartbeat(world, self.run).map(|heartbeat| now(world) - heartbeat);
        match outcome {
            EffectOutcome::Success if quiet.is_some_and(|q| q < super::reconcile::TAKEOVER_BACKOFF) => {
                Some(REQUEUED)
            }
            EffectOutcome::Success | EffectOutcome::Failed => {
                Some(TaskState::Executing(object, Effect::Open(open)))
            }
            _ => None,
        }
    }

    fn open(
        &self,
        world: &mut World,
        object: Object,
        open: Open,
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        let (rules, now) = (self.model.rules, now(world));
        let why = match outcome {
            EffectOutcome::Success => match database::open(world, rules, self.run, now) {
                Answer::Done(fence) => return Some(self.opened(world, object, open.attempt, fence)),
                Answer::Busy => {
                    world.task(self.who, 1 - self.run).state.skips_queue = true;
                    return Some(self.wait(world, object, FaultKind::Queued));
                }
                Answer::Closed(closed) => {
                    return Some(self.ended(world, object, ResultSource::Row(closed), None));
                }
                // `SyncRun::row_locked`.
                _ if open.resumed => return Some(REQUEUED),
                _ => return Some(self.wait(world, object, FaultKind::Busy)),
            },
            EffectOutcome::Failed => FaultKind::Transient,
            EffectOutcome::AnswerLost => match database::open(world, rules, self.run, now) {
                Answer::Done(_) | Answer::Closed(_) => FaultKind::Transient,
                _ => return None,
            },
            EffectOutcome::PermanentFault => FaultKind::Permanent,
            _ => return None,
        };
        Some(self.failed(world, object, open.attempt, Step::Open, why))
    }

    fn opened(&self, world: &World, object: Object, attempt: i32, fence: i64) -> TaskState {
        let shown = self.model.rules.is_enabled(Rule::ShownFence).then_some(fence);
        let status = functions::status(
            &object,
            Transition::Opened {
                attempt,
                fence: shown,
            },
            now(world),
        );
        TaskState::Executing(
            object,
            Effect::Put {
                status,
                then: AfterWrite::OwnFence(fence),
                fence: Some(fence),
            },
        )
    }

    /// `SyncRun::end`.
    fn ended(
        &self,
        world: &mut World,
        object: Object,
        source: ResultSource,
        failing: Option<Step>,
    ) -> TaskState {
        world.reset_attempt(self.who, self.run);
        let step = failing.or(object.status.step);
        put(
            object,
            Transition::Ended(source, step),
            now(world),
            AfterWrite::Continue,
            None,
        )
    }

    fn fetch(&self, world: &mut World, object: Object, outcome: EffectOutcome) -> Option<TaskState> {
        let state = world.operators[self.who].tasks[self.run].state;
        let fence = state.fence?;
        let why = match outcome {
            EffectOutcome::Success => {
                world.task(self.who, self.run).state.fetched = true;
                return Some(TaskState::Deciding(object));
            }
            EffectOutcome::Interrupted if self.is_cancelled_or_expired(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            // `steps::publish_progress`.
            EffectOutcome::Interrupted => return self.report(world, object, fence),
            EffectOutcome::Failed => FaultKind::Transient,
            EffectOutcome::PermanentFault => FaultKind::Permanent,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Fetch, why))
    }

    fn report(&self, world: &mut World, object: Object, fence: i64) -> Option<TaskState> {
        let server = world.objects[self.run];
        if server.is_none_or(|s| !functions::same_status_without_progress(&s, &object)) {
            return Some(self.fenced(world));
        }
        let now = now(world);
        match database::alive(world, self.model.rules, self.run, fence, now) {
            Answer::Superseded => Some(self.fenced(world)),
            Answer::Done(_) => Some(TaskState::Executing(object, Effect::Fetch)),
            _ => None,
        }
    }

    /// A long step is shown in the status, concurrently with the transaction.
    fn slow(&self, world: &mut World, object: Object, what: Effect) -> Option<TaskState> {
        let fence = world.operators[self.who].tasks[self.run].state.fence;
        let status = functions::status(&object, Transition::Applying, now(world));
        let put = Effect::Put {
            status,
            then: AfterWrite::Continue,
            fence,
        };
        if status == object.status {
            return None;
        }
        match self.land(world, object, put) {
            WriteResult::Written(written) => {
                let state = &mut world.task(self.who, self.run).state;
                state.newest_version = state.newest_version.max(written.version);
                Some(TaskState::Executing(written, what))
            }
            WriteResult::Conflict => None,
        }
    }

    fn begin_apply(&self, world: &mut World, object: Object, outcome: EffectOutcome) -> Option<TaskState> {
        if outcome == EffectOutcome::Slow {
            return self.slow(world, object, Effect::Begin);
        }
        let state = &mut world.task(self.who, self.run).state;
        let fence = state.fence?;
        state.fetched = false;
        let why = match outcome {
            EffectOutcome::Success => match database::begin(world, self.model.rules, self.run, fence) {
                Answer::Done(_) => return Some(TaskState::Executing(object, Effect::Commit { alive: true })),
                Answer::Closed(closed) => {
                    return Some(self.ended(world, object, ResultSource::Row(closed), None));
                }
                Answer::Superseded => return Some(self.fenced(world)),
                // It waits for the lock without limit.
                _ => return None,
            },
            EffectOutcome::Interrupted if self.is_cancelled_or_expired(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            EffectOutcome::Failed => FaultKind::Transient,
            EffectOutcome::PermanentFault => FaultKind::Permanent,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Apply, why))
    }

    fn commit(
        &self,
        world: &mut World,
        object: Object,
        alive: bool,
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        if outcome == EffectOutcome::Slow {
            return self.slow(world, object, Effect::Commit { alive });
        }
        let fence = world.operators[self.who].tasks[self.run].state.fence?;
        let why = match outcome {
            EffectOutcome::Success if alive => {
                let closed = database::commit(world, self.run, fence);
                return Some(self.ended(world, object, ResultSource::Row(closed), None));
            }
            // The server has ended the transaction.
            EffectOutcome::Success | EffectOutcome::Failed => FaultKind::Transient,
            EffectOutcome::AnswerLost if alive => {
                database::commit(world, self.run, fence);
                FaultKind::Transient
            }
            EffectOutcome::Interrupted if self.is_cancelled_or_expired(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            EffectOutcome::InterruptedTooLate if alive && self.is_cancelled_or_expired(world, &object) => {
                database::commit(world, self.run, fence);
                return Some(self.interrupted(world, object));
            }
            EffectOutcome::PermanentFault => FaultKind::Permanent,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Apply, why))
    }

    /// `log_row::record_failed_attempt`.
    fn note(
        &self,
        world: &mut World,
        object: Object,
        status: InternedStatus,
        fence: i64,
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        let now = now(world);
        match outcome {
            EffectOutcome::Success
                if database::alive(world, self.model.rules, self.run, fence, now) == Answer::Superseded =>
            {
                return Some(self.fenced(world));
            }
            EffectOutcome::AnswerLost => {
                database::alive(world, self.model.rules, self.run, fence, now);
            }
            EffectOutcome::Success | EffectOutcome::Failed => {}
            _ => return None,
        }
        Some(put_status(object, status, AfterWrite::Continue, Some(fence)))
    }

    /// `SyncRun::terminate`.
    fn close(
        &self,
        world: &mut World,
        object: Object,
        (end, failing): (InternedTermination, Option<Step>),
        outcome: EffectOutcome,
    ) -> Option<TaskState> {
        let (rules, now) = (self.model.rules, now(world));
        let operator = world.operators[self.who];
        let fence = functions::closing_fence(end, &object, operator.tasks[self.run].state.fence);
        let answer = match outcome {
            EffectOutcome::Success if !operator.verified => Answer::Blocked,
            EffectOutcome::Success => database::close(world, rules, self.run, end, fence),
            EffectOutcome::Failed if operator.verified => Answer::Blocked,
            EffectOutcome::AnswerLost if operator.verified => {
                database::close(world, rules, self.run, end, fence);
                Answer::Blocked
            }
            _ => return None,
        };
        let source = match answer {
            Answer::Closed(closed) => ResultSource::Close(closed, end),
            Answer::Superseded => return Some(self.fenced(world)),
            // A connection that has not been probed yet will be.
            _ if !operator.verified || functions::awaits_row_close(end, now) => {
                world.task(self.who, self.run).state.pending_end = Some(end);
                return Some(self.wait(world, object, FaultKind::RowNotClosed));
            }
            _ => {
                world.history.row_unavailable[self.run] = true;
                ResultSource::NoRow(end)
            }
        };
        Some(self.ended(world, object, source, failing))
    }
}
