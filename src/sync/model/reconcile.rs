//! A reconcile up to its effect: `controller::reconcile`, and `run` and `steps` up to their first `await`.

use super::definition::{Model, Rule};
use super::functions::{self, DecideArguments, ModelAction, ModelRetryDecision};
use super::values::{FaultKind, INSTANTS, InternedStatus, Second, Transition};
use super::world::{AfterWrite, Effect, Object, Open, RUNS, TaskState, World};
use crate::api::sync::{Phase, Step};

/// Distance of the instants after the last relevant one: every backoff and deadline has passed.
const LATER: Second = 1000;
/// `run::TAKEOVER_BACKOFF`.
pub(super) const TAKEOVER_BACKOFF: Second = 30;

/// One operator and one run.
#[derive(Clone, Copy)]
pub(super) struct Reconcile<'a> {
    pub model: &'a Model,
    pub who: usize,
    pub run: usize,
}

pub(super) const REQUEUED: TaskState = TaskState::Idle { timer: true };

/// The current instant.
pub(super) fn now(world: &World) -> Second {
    let clock = usize::from(world.clock);
    let beyond = clock.saturating_sub(INSTANTS.len() - 1);
    INSTANTS[clock.min(INSTANTS.len() - 1)] + LATER * Second::try_from(beyond).unwrap_or_default()
}

/// A status that does not differ is not written, except by a process that takes the run.
pub(super) fn put_status(
    object: Object,
    status: InternedStatus,
    then: AfterWrite,
    fence: Option<i64>,
) -> TaskState {
    match (status == object.status, then) {
        (true, AfterWrite::Requeue) => REQUEUED,
        (true, AfterWrite::Continue) => TaskState::Deciding(object),
        _ => TaskState::Executing(object, Effect::Put { status, then, fence }),
    }
}

/// `Record::set_status`.
pub(super) fn put(
    object: Object,
    transition: Transition,
    now: Second,
    then: AfterWrite,
    fence: Option<i64>,
) -> TaskState {
    put_status(object, functions::status(&object, transition, now), then, fence)
}

impl Reconcile<'_> {
    /// `controller::reconcile`, from the cache.
    pub fn begin(&self, world: &mut World) {
        let task = world.task(self.who, self.run);
        let seen = task
            .cache
            .filter(|cached| cached.version >= task.state.newest_version);
        // Nothing if the object is gone or the cache is stale.
        let at = seen.map_or(TaskState::Idle { timer: false }, |cached| {
            self.next(world, cached)
        });
        self.set(world, at);
    }

    /// Whether the decision cannot change any more and is made at once. Only the clock, the first probe of the connection and,
    /// for a pending run, the queue can change it.
    pub fn is_settled(&self, world: &World, object: &Object) -> bool {
        let still = world.budget.forwards + world.budget.backwards == 0;
        let queues = self.model.runs > 1 && object.phase() == Phase::Pending;
        still && !queues && world.operators[self.who].verified
    }

    /// Sets the next state of the task.
    pub fn set(&self, world: &mut World, at: TaskState) {
        let at = match at {
            TaskState::Deciding(object) if self.is_settled(world, &object) => self.next(world, object),
            at => at,
        };
        world.task(self.who, self.run).set(at);
    }

    /// One iteration of the loop: observe, decide, and stop before the effect.
    pub fn next(&self, world: &World, object: Object) -> TaskState {
        let state = world.operators[self.who].tasks[self.run].state;
        let now = now(world);
        let arguments = DecideArguments {
            object,
            gate: self.gate(world, &object),
            attempt: (state.fence.is_some(), state.fetched),
            pending_end: state.pending_end,
            now,
            backoff_limit: self.model.backoff_limit,
        };
        let verified = world.operators[self.who].verified;
        let doing = |what| TaskState::Executing(object, what);
        match functions::decide(arguments) {
            ModelAction::Idle { timer } => TaskState::Idle { timer },
            ModelAction::AddFinalizer => doing(Effect::Finalizer(true)),
            ModelAction::Wait(why) => self.wait(world, object, why),
            ModelAction::Open(open) if !verified => {
                let _ = open;
                REQUEUED
            }
            ModelAction::Open(open) => doing(match state.fenced_until {
                Some(_) if open.resumed => Effect::Ask(self.charged(open)),
                _ => Effect::Open(self.charged(open)),
            }),
            ModelAction::Fetch | ModelAction::Apply if !verified || state.fence.is_none() => REQUEUED,
            ModelAction::Fetch => doing(Effect::Fetch),
            ModelAction::Apply => doing(Effect::Begin),
            ModelAction::Terminate(end) => doing(Effect::Close { end, failing: None }),
            ModelAction::Finalize => doing(Effect::Finalizer(false)),
        }
    }

    /// Charges a resumed attempt if the rule against it is disabled.
    fn charged(&self, open: Open) -> Open {
        let charge = open.resumed && !self.model.rules.is_enabled(Rule::FreeResume);
        Open {
            attempt: open.attempt + i32::from(charge),
            ..open
        }
    }

    /// `SyncRun::gate`.
    fn gate(&self, world: &World, object: &Object) -> Result<(), FaultKind> {
        let operator = &world.operators[self.who];
        let lost = operator.tasks[self.run].state.fenced_until;
        if lost.is_some_and(|until| now(world) < until) {
            return Err(FaultKind::Superseded);
        }
        if !operator.verified {
            return Err(FaultKind::Unverified);
        }
        let queues = object.phase() == Phase::Pending && !operator.tasks[self.run].state.skips_queue;
        if queues && (0..RUNS).any(|other| self.goes_first(world, other)) {
            return Err(FaultKind::Queued);
        }
        Ok(())
    }

    /// `SyncContext::queue_head`: by the cache; runs are numbered by their age.
    fn goes_first(&self, world: &World, other: usize) -> bool {
        let task = &world.operators[self.who].tasks[other];
        other != self.run
            && !task.state.ended
            && task
                .cache
                .is_some_and(|o| !o.phase().is_final() && (o.has_started() || other < self.run))
    }

    /// `SyncRun::wait`.
    pub fn wait(&self, world: &World, object: Object, why: FaultKind) -> TaskState {
        if why == FaultKind::Superseded {
            return REQUEUED;
        }
        let task = &world.operators[self.who].tasks[self.run];
        if world.operators[self.who].verified && !task.state.registered {
            return TaskState::Executing(object, Effect::Register(Transition::Waiting(why)));
        }
        put(
            object,
            Transition::Waiting(why),
            now(world),
            AfterWrite::Requeue,
            None,
        )
    }

    /// `SyncRun::fenced`.
    pub fn fenced(&self, world: &mut World) -> TaskState {
        let until = now(world) + TAKEOVER_BACKOFF;
        let task = world.task(self.who, self.run);
        task.state.fenced_until = Some(until);
        world.reset_attempt(self.who, self.run);
        REQUEUED
    }

    /// `SyncRun::attempt_failed`.
    pub fn failed(
        &self,
        world: &mut World,
        object: Object,
        attempt: i32,
        step: Step,
        why: FaultKind,
    ) -> TaskState {
        let now = now(world);
        let fence = world.operators[self.who].tasks[self.run].state.fence;
        world.history.failed[self.run] += 1;
        match functions::retry_decision(&object, attempt, why, now, self.model.backoff_limit) {
            ModelRetryDecision::Terminate(end) => {
                let pending = object.phase() == Phase::Pending;
                let status = if pending {
                    functions::status(&object, Transition::Opened { attempt, fence }, now)
                } else {
                    object.status
                };
                TaskState::Executing(
                    Object { status, ..object },
                    Effect::Close {
                        end,
                        failing: Some(step),
                    },
                )
            }
            ModelRetryDecision::Retry(next) => {
                world.reset_attempt(self.who, self.run);
                let transition = Transition::Retrying {
                    attempt,
                    step,
                    why,
                    next,
                };
                let status = functions::status(&object, transition, now);
                match fence {
                    Some(fence) => TaskState::Executing(object, Effect::Note { status, fence }),
                    None => put_status(object, status, AfterWrite::Continue, None),
                }
            }
        }
    }

    /// `SyncRun::interrupted`: cancelled, deleted or expired, according to the cache.
    pub fn interrupted(&self, world: &mut World, object: Object) -> TaskState {
        let task = world.task(self.who, self.run);
        let cached = task.cache;
        world.reset_attempt(self.who, self.run);
        match cached {
            Some(newer) => TaskState::Deciding(Object {
                cancel: newer.cancel,
                deleting: newer.deleting,
                ..object
            }),
            None => REQUEUED,
        }
    }

    /// Whether `steps::cancelled_or_expired` would end a long step.
    pub fn is_cancelled_or_expired(&self, world: &World, object: &Object) -> bool {
        let cached = world.operators[self.who].tasks[self.run].cache;
        cached.is_none_or(|c| c.cancel || c.deleting) || functions::is_expired(object, now(world))
    }
}
