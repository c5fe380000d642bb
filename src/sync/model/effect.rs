//! An effect, and what the process makes of the answer: `run`, `steps` and `record` from their first `await` on.

use super::{Luck, Rule};

use super::real::{self, Ending, Moment, Status, Told, Why};
use super::store::{self, Said};
use super::turn::{RESTS, Turn, now, put, put_status};
use super::world::{At, Do, Object, Open, Then, World};
use crate::api::sync::Step;

/// What came of a write to the API server.
enum Wrote {
    Yes(Object),
    /// Somebody else was faster.
    Overtaken,
}

impl Turn<'_> {
    /// Has the effect that the task is about to have, with this luck. `None` where that cannot happen.
    pub fn effect(&self, world: &mut World, luck: Luck) -> Option<()> {
        let At::Doing(object, what) = world.task(self.who, self.run).at else {
            return None;
        };
        let at = match what {
            Do::Finalizer(_) | Do::Put { .. } => self.write(world, object, what, luck)?,
            Do::Register(moment) => self.register(world, object, moment, luck)?,
            Do::Ask(open) => self.ask(world, object, open, luck)?,
            Do::Open(open) => self.open(world, object, open, luck)?,
            Do::Fetch => self.fetch(world, object, luck)?,
            Do::Begin => self.begin_apply(world, object, luck)?,
            Do::Commit { alive } => self.commit(world, object, alive, luck)?,
            Do::Note { status, fence } => self.note(world, object, status, fence, luck)?,
            Do::Close { end, failing } => self.close(world, object, (end, failing), luck)?,
        };
        self.set(world, at);
        Some(())
    }

    fn write(&self, world: &mut World, object: Object, what: Do, luck: Luck) -> Option<At> {
        // Whatever goes wrong on the way to the API server ends the turn; the next one begins from the cache.
        match luck {
            Luck::Good => {}
            Luck::Away => return Some(RESTS),
            Luck::Lost => {
                self.land(world, object, what);
                return Some(RESTS);
            }
            _ => return None,
        }
        let Wrote::Yes(written) = self.land(world, object, what) else {
            return Some(RESTS);
        };
        let hold = &mut world.task(self.who, self.run).hold;
        hold.written = hold.written.max(written.version);
        hold.ended |= written.phase().is_final();
        if matches!(what, Do::Finalizer(false)) {
            self.wake_others(world);
        }
        Some(match what {
            Do::Put { then: Then::Rest, .. } => RESTS,
            Do::Put {
                then: Then::Hold(fence),
                ..
            } => {
                let hold = &mut world.task(self.who, self.run).hold;
                (hold.fence, hold.fetched, hold.registered, hold.lost_until) =
                    (Some(fence), false, true, None);
                At::Turn(written)
            }
            _ => At::Turn(written),
        })
    }

    /// `Connections::ended`: the runs of the connection that have not ended look again.
    fn wake_others(&self, world: &mut World) {
        for task in &mut world.operators[self.who].tasks {
            if task.cache.is_some_and(|o| !o.phase().is_final()) {
                task.wake();
            }
        }
    }

    /// The write as the API server does it: with the version that it carries, or not at all. A status that meets a
    /// conflict is written all the same if nobody changed the status (`Record::meanwhile`).
    fn land(&self, world: &mut World, local: Object, what: Do) -> Wrote {
        let versions = self.model.rules.hold(Rule::Versions);
        let Some(mut object) = world.objects[self.run] else {
            return Wrote::Overtaken;
        };
        match what {
            Do::Put { status, fence, .. } => {
                if versions && object.version != local.version && !real::same_essence(&object, &local) {
                    // What the process has read after the conflict; its cache is behind until it knows as much.
                    let hold = &mut world.task(self.who, self.run).hold;
                    hold.written = hold.written.max(object.version);
                    return Wrote::Overtaken;
                }
                self.show(world, status, fence);
                object.status = status;
            }
            Do::Finalizer(wanted) => {
                if versions && object.version != local.version {
                    return Wrote::Overtaken;
                }
                object.held = wanted;
            }
            _ => {}
        }
        object.version += 1;
        world.objects[self.run] = (object.held || !object.leaving).then_some(object);
        Wrote::Yes(object)
    }

    /// Notes who has written, for the properties.
    pub fn show(&self, world: &mut World, status: Status, fence: Option<i64>) {
        let Some(fence) = fence else {
            return;
        };
        let shown = &mut world.notes.shown[self.run];
        world.notes.fenced_status |= fence < *shown && !status.phase.is_final();
        *shown = fence.max(*shown);
    }

    fn register(&self, world: &mut World, object: Object, moment: Moment, luck: Luck) -> Option<At> {
        match luck {
            Luck::Good => {
                store::register(world, self.run);
                world.task(self.who, self.run).hold.registered = true;
            }
            Luck::Away => {}
            Luck::Lost => store::register(world, self.run),
            _ => return None,
        }
        Some(put(object, moment, now(world), Then::Rest, None))
    }

    /// `Run::leave_it_to_the_other`.
    fn ask(&self, world: &World, object: Object, open: Open, luck: Luck) -> Option<At> {
        let quiet = store::heard(world, self.run).map(|heard| now(world) - heard);
        match luck {
            Luck::Good if quiet.is_some_and(|q| q < super::turn::HANDS_OFF) => Some(RESTS),
            Luck::Good | Luck::Away => Some(At::Doing(object, Do::Open(open))),
            _ => None,
        }
    }

    fn open(&self, world: &mut World, object: Object, open: Open, luck: Luck) -> Option<At> {
        let (rules, now) = (self.model.rules, now(world));
        let why = match luck {
            Luck::Good => match store::open(world, rules, self.run, now) {
                Said::Done(fence) => return Some(self.opened(world, object, open.attempt, fence)),
                Said::Busy => {
                    world.task(self.who, 1 - self.run).hold.first = true;
                    return Some(self.wait(world, object, Why::Queued));
                }
                Said::Ended(closed) => return Some(self.ended(world, object, Told::Row(closed), None)),
                // `Run::locked`.
                _ if open.resumed => return Some(RESTS),
                _ => return Some(self.wait(world, object, Why::Busy)),
            },
            Luck::Away => Why::Passing,
            Luck::Lost => match store::open(world, rules, self.run, now) {
                Said::Done(_) | Said::Ended(_) => Why::Passing,
                _ => return None,
            },
            Luck::Lasting => Why::Lasting,
            _ => return None,
        };
        Some(self.failed(world, object, open.attempt, Step::Open, why))
    }

    fn opened(&self, world: &World, object: Object, attempt: i32, fence: i64) -> At {
        let told = self.model.rules.hold(Rule::ShownFence).then_some(fence);
        let status = real::status(&object, Moment::Opened { attempt, fence: told }, now(world));
        At::Doing(
            object,
            Do::Put {
                status,
                then: Then::Hold(fence),
                fence: Some(fence),
            },
        )
    }

    /// `Run::ended`.
    fn ended(&self, world: &mut World, object: Object, told: Told, failing: Option<Step>) -> At {
        world.drop_hand(self.who, self.run);
        let step = failing.or(object.status.step);
        put(object, Moment::Ended(told, step), now(world), Then::Again, None)
    }

    fn fetch(&self, world: &mut World, object: Object, luck: Luck) -> Option<At> {
        let hold = world.operators[self.who].tasks[self.run].hold;
        let fence = hold.fence?;
        let why = match luck {
            Luck::Good => {
                world.task(self.who, self.run).hold.fetched = true;
                return Some(At::Turn(object));
            }
            Luck::Interrupted if self.is_unwanted(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            // What `steps::report` finds while it shows progress and keeps the row warm.
            Luck::Interrupted => return self.report(world, object, fence),
            Luck::Away => Why::Passing,
            Luck::Lasting => Why::Lasting,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Fetch, why))
    }

    fn report(&self, world: &mut World, object: Object, fence: i64) -> Option<At> {
        let server = world.objects[self.run];
        if server.is_none_or(|s| !real::same_essence(&s, &object)) {
            return Some(self.overtaken(world));
        }
        let now = now(world);
        match store::alive(world, self.model.rules, self.run, fence, now) {
            Said::Superseded => Some(self.overtaken(world)),
            Said::Done(_) => Some(At::Doing(object, Do::Fetch)),
            _ => None,
        }
    }

    /// A step that takes long is told of, beside the transaction and for what it is worth.
    fn slow(&self, world: &mut World, object: Object, what: Do) -> Option<At> {
        let fence = world.operators[self.who].tasks[self.run].hold.fence;
        let status = real::status(&object, Moment::Applying, now(world));
        let told = Do::Put {
            status,
            then: Then::Again,
            fence,
        };
        if status == object.status {
            return None;
        }
        match self.land(world, object, told) {
            Wrote::Yes(written) => {
                let hold = &mut world.task(self.who, self.run).hold;
                hold.written = hold.written.max(written.version);
                Some(At::Doing(written, what))
            }
            Wrote::Overtaken => None,
        }
    }

    fn begin_apply(&self, world: &mut World, object: Object, luck: Luck) -> Option<At> {
        if luck == Luck::Slow {
            return self.slow(world, object, Do::Begin);
        }
        let hold = &mut world.task(self.who, self.run).hold;
        let fence = hold.fence?;
        hold.fetched = false;
        let why = match luck {
            Luck::Good => match store::begin(world, self.model.rules, self.run, fence) {
                Said::Done(_) => return Some(At::Doing(object, Do::Commit { alive: true })),
                Said::Ended(closed) => return Some(self.ended(world, object, Told::Row(closed), None)),
                Said::Superseded => return Some(self.overtaken(world)),
                // It waits, in slices, for as long as it takes.
                _ => return None,
            },
            Luck::Interrupted if self.is_unwanted(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            Luck::Away => Why::Passing,
            Luck::Lasting => Why::Lasting,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Apply, why))
    }

    fn commit(&self, world: &mut World, object: Object, alive: bool, luck: Luck) -> Option<At> {
        if luck == Luck::Slow {
            return self.slow(world, object, Do::Commit { alive });
        }
        let fence = world.operators[self.who].tasks[self.run].hold.fence?;
        let why = match luck {
            Luck::Good if alive => {
                let closed = store::commit(world, self.run, fence);
                return Some(self.ended(world, object, Told::Row(closed), None));
            }
            // The server has given the transaction up.
            Luck::Good | Luck::Away => Why::Passing,
            Luck::Lost if alive => {
                store::commit(world, self.run, fence);
                Why::Passing
            }
            Luck::Interrupted if self.is_unwanted(world, &object) => {
                return Some(self.interrupted(world, object));
            }
            Luck::TooLate if alive && self.is_unwanted(world, &object) => {
                store::commit(world, self.run, fence);
                return Some(self.interrupted(world, object));
            }
            Luck::Lasting => Why::Lasting,
            _ => return None,
        };
        Some(self.failed(world, object, object.status.attempt, Step::Apply, why))
    }

    /// `steps::note_failure`.
    fn note(&self, world: &mut World, object: Object, status: Status, fence: i64, luck: Luck) -> Option<At> {
        let now = now(world);
        match luck {
            Luck::Good if store::alive(world, self.model.rules, self.run, fence, now) == Said::Superseded => {
                return Some(self.overtaken(world));
            }
            Luck::Lost => {
                store::alive(world, self.model.rules, self.run, fence, now);
            }
            Luck::Good | Luck::Away => {}
            _ => return None,
        }
        Some(put_status(object, status, Then::Again, Some(fence)))
    }

    /// `Run::end`.
    fn close(
        &self,
        world: &mut World,
        object: Object,
        (end, failing): (Ending, Option<Step>),
        luck: Luck,
    ) -> Option<At> {
        let (rules, now) = (self.model.rules, now(world));
        let operator = world.operators[self.who];
        let fence = real::closing_fence(end, &object, operator.tasks[self.run].hold.fence);
        let said = match luck {
            Luck::Good if !operator.verified => Said::Blocked,
            Luck::Good => store::close(world, rules, self.run, end, fence),
            Luck::Away if operator.verified => Said::Blocked,
            Luck::Lost if operator.verified => {
                store::close(world, rules, self.run, end, fence);
                Said::Blocked
            }
            _ => return None,
        };
        let told = match said {
            Said::Ended(closed) => Told::Close(closed, end),
            Said::Superseded => return Some(self.overtaken(world)),
            // Not verified is not tried: the trial ends in any case.
            _ if !operator.verified || real::insists(end, now) => {
                world.task(self.who, self.run).hold.due = Some(end);
                return Some(self.wait(world, object, Why::RowFirst));
            }
            _ => {
                world.notes.unasked[self.run] = true;
                Told::Nobody(end)
            }
        };
        Some(self.ended(world, object, told, failing))
    }
}
