//! A turn up to its effect: `controller::reconcile`, and of `run` and `steps` what comes before the first `await`.

use super::real::{self, Decided, INSTANTS, Judged, Moment, Question, Second, Why};
use super::world::{At, Do, Object, Open, Then, World};
use super::{Model, RUNS, Rule};
use crate::api::sync::{Phase, Step};

/// How far apart the instants are that only calm weather reaches: every pause and deadline is over by then.
const LATER: Second = 1000;
/// `run::HANDS_OFF`.
pub(super) const HANDS_OFF: Second = 30;

/// One operator at one run.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub model: &'a Model,
    pub who: usize,
    pub run: usize,
}

pub(super) const RESTS: At = At::Asleep { timer: true };

/// The clock of the world.
pub(super) fn now(world: &World) -> Second {
    let clock = usize::from(world.clock);
    let beyond = clock.saturating_sub(INSTANTS.len() - 1);
    INSTANTS[clock.min(INSTANTS.len() - 1)] + LATER * Second::try_from(beyond).unwrap_or_default()
}

/// A write that says nothing new is none; only who takes the run goes on to hold it.
pub(super) fn put_status(object: Object, status: real::Status, then: Then, fence: Option<i64>) -> At {
    match (status == object.status, then) {
        (true, Then::Rest) => RESTS,
        (true, Then::Again) => At::Turn(object),
        _ => At::Doing(object, Do::Put { status, then, fence }),
    }
}

/// `Record::status`.
pub(super) fn put(object: Object, moment: Moment, now: Second, then: Then, fence: Option<i64>) -> At {
    put_status(object, real::status(&object, moment, now), then, fence)
}

impl Turn<'_> {
    /// `controller::reconcile`, from the cache.
    pub fn begin(&self, world: &mut World) {
        let task = world.task(self.who, self.run);
        let seen = task.cache.filter(|cached| cached.version >= task.hold.written);
        // Nothing, if the object is gone, and with it whatever this process held for it, or if the cache is behind.
        let at = seen.map_or(At::Asleep { timer: false }, |cached| self.next(world, cached));
        self.set(world, at);
    }

    /// Whether a decision can only come out as it would now: then it is made at once. From outside, only the clock, the
    /// first trial of the connection and, for a run that is pending, the queue can change it.
    pub fn is_settled(&self, world: &World, object: &Object) -> bool {
        let still = world.luck.forwards + world.luck.backwards == 0;
        let queues = self.model.runs > 1 && object.phase() == Phase::Pending;
        still && !queues && world.operators[self.who].verified
    }

    /// The task goes on from here.
    pub fn set(&self, world: &mut World, at: At) {
        let at = match at {
            At::Turn(object) if self.is_settled(world, &object) => self.next(world, object),
            at => at,
        };
        world.task(self.who, self.run).set(at);
    }

    /// One round of the loop: look, decide, and stop before the effect.
    pub fn next(&self, world: &World, object: Object) -> At {
        let hold = world.operators[self.who].tasks[self.run].hold;
        let now = now(world);
        let question = Question {
            object,
            gate: self.gate(world, &object),
            hand: (hold.fence.is_some(), hold.fetched),
            due: hold.due,
            now,
            backoff_limit: self.model.backoff_limit,
        };
        let verified = world.operators[self.who].verified;
        let doing = |what| At::Doing(object, what);
        match real::decide(question) {
            Decided::Rest { timer } => At::Asleep { timer },
            Decided::Adopt => doing(Do::Finalizer(true)),
            Decided::Wait(why) => self.wait(world, object, why),
            Decided::Open(open) if !verified => {
                let _ = open;
                RESTS
            }
            Decided::Open(open) => doing(match hold.lost_until {
                Some(_) if open.resumed => Do::Ask(self.charged(open)),
                _ => Do::Open(self.charged(open)),
            }),
            Decided::Fetch | Decided::Apply if !verified || hold.fence.is_none() => RESTS,
            Decided::Fetch => doing(Do::Fetch),
            Decided::Apply => doing(Do::Begin),
            Decided::End(end) => doing(Do::Close { end, failing: None }),
            Decided::Announce => doing(Do::Finalizer(false)),
        }
    }

    /// The mutation of the rule that going on with another's attempt is not charged.
    fn charged(&self, open: Open) -> Open {
        let charge = open.resumed && !self.model.rules.hold(Rule::FreeResume);
        Open {
            attempt: open.attempt + i32::from(charge),
            ..open
        }
    }

    /// `Run::gate`.
    fn gate(&self, world: &World, object: &Object) -> Result<(), Why> {
        let operator = &world.operators[self.who];
        let lost = operator.tasks[self.run].hold.lost_until;
        if lost.is_some_and(|until| now(world) < until) {
            return Err(Why::Superseded);
        }
        if !operator.verified {
            return Err(Why::Unverified);
        }
        let queues = object.phase() == Phase::Pending && !operator.tasks[self.run].hold.first;
        if queues && (0..RUNS).any(|other| self.goes_first(world, other)) {
            return Err(Why::Queued);
        }
        Ok(())
    }

    /// `Context::ahead_of`: by the cache; runs are numbered by their age.
    fn goes_first(&self, world: &World, other: usize) -> bool {
        let task = &world.operators[self.who].tasks[other];
        other != self.run
            && !task.hold.ended
            && task
                .cache
                .is_some_and(|o| !o.phase().is_final() && (o.has_started() || other < self.run))
    }

    /// `Run::wait`.
    pub fn wait(&self, world: &World, object: Object, why: Why) -> At {
        if why == Why::Superseded {
            return RESTS;
        }
        let task = &world.operators[self.who].tasks[self.run];
        if world.operators[self.who].verified && !task.hold.registered {
            return At::Doing(object, Do::Register(Moment::Waiting(why)));
        }
        put(object, Moment::Waiting(why), now(world), Then::Rest, None)
    }

    /// `Run::overtaken`.
    pub fn overtaken(&self, world: &mut World) -> At {
        let until = now(world) + HANDS_OFF;
        let task = world.task(self.who, self.run);
        task.hold.lost_until = Some(until);
        world.drop_hand(self.who, self.run);
        RESTS
    }

    /// `Run::failed`.
    pub fn failed(&self, world: &mut World, object: Object, attempt: i32, step: Step, why: Why) -> At {
        let now = now(world);
        let fence = world.operators[self.who].tasks[self.run].hold.fence;
        world.notes.failed[self.run] += 1;
        match real::judge(&object, attempt, why, now, self.model.backoff_limit) {
            Judged::End(end) => {
                let pending = object.phase() == Phase::Pending;
                let status = if pending {
                    real::status(&object, Moment::Opened { attempt, fence }, now)
                } else {
                    object.status
                };
                At::Doing(
                    Object { status, ..object },
                    Do::Close {
                        end,
                        failing: Some(step),
                    },
                )
            }
            Judged::Retry(next) => {
                world.drop_hand(self.who, self.run);
                let moment = Moment::Retrying {
                    attempt,
                    step,
                    why,
                    next,
                };
                let status = real::status(&object, moment, now);
                match fence {
                    Some(fence) => At::Doing(object, Do::Note { status, fence }),
                    None => put_status(object, status, Then::Again, None),
                }
            }
        }
    }

    /// `Run::interrupted`: cancelled, deleted or late, as the cache has it.
    pub fn interrupted(&self, world: &mut World, object: Object) -> At {
        let task = world.task(self.who, self.run);
        let cached = task.cache;
        world.drop_hand(self.who, self.run);
        match cached {
            Some(newer) => At::Turn(Object {
                cancel: newer.cancel,
                leaving: newer.leaving,
                ..object
            }),
            None => RESTS,
        }
    }

    /// Whether `steps::unwanted` would end a long step.
    pub fn is_unwanted(&self, world: &World, object: &Object) -> bool {
        let cached = world.operators[self.who].tasks[self.run].cache;
        cached.is_none_or(|c| c.cancel || c.leaving) || real::is_late(object, now(world))
    }
}
