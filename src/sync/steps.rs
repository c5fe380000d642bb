//! The two long steps, Fetch and Apply. Either is dropped at once when the run is cancelled, deleted or late, as the
//! watch cache has it, and when the process is told to stop; nothing of it remains but what was committed.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::context::{Context, Held};
use super::endings;
use super::machine::{self, End};
use super::plan::{Missed, Options, Planner};
use super::record::Record;
use super::run::{Flow, Run, now};
use super::status::Next;
use crate::api::sync::{Phase, Step, TaranaSync, TaranaSyncStatus, TriggerType};
use crate::cluster::Error;
use crate::connection::Link;
use crate::fault::{Fault, Reason};
use crate::notify::News;
use crate::station::Fetched;
use crate::store;

/// How often the watch cache is asked whether the run is still wanted. It costs no request.
const LOOK: Duration = Duration::from_millis(100);
/// How often progress is written to the object, at most. What is over sooner is told of by its end alone.
const PROGRESS: Duration = Duration::from_secs(2);
/// Every so many of those the log row hears that the run is alive.
const HEARTBEAT: u32 = 4;

/// How a long step came out.
enum Outcome<T> {
    Done(T),
    Failed(Fault),
    /// The run is no longer wanted, or late: the next turn sees why.
    Interrupted,
}

impl Run<'_> {
    /// Reads the whole listing.
    pub async fn fetch(&mut self) -> Result<Flow, Error> {
        let attempt = self.status().attempt;
        let Some((link, fence)) = self.tools() else {
            return Ok(Flow::Rest(Some(SignedDuration::from_secs(1))));
        };
        let seen = Rows::default();
        let row = self.log_row(&link);
        let outcome = {
            let progress = |current, total| seen.set(current, total);
            let fetch = link.tarana.fetch(&progress);
            let unwanted = unwanted(self.context, self.sync().clone());
            let report = report(&mut self.record, &link, &row, fence, &seen);
            tokio::select! {
                fetched = fetch => fetched.map_or_else(Outcome::Failed, Outcome::Done),
                () = unwanted => Outcome::Interrupted,
                fault = report => Outcome::Failed(fault),
            }
        };
        match outcome {
            Outcome::Done(mut fetched) => {
                if let Some(why) = fetched.instead.take() {
                    let listing = fetched.listing;
                    tracing::warn!(sync = row.name, %listing, "another listing was read: {why}");
                    self.tell(&News::warning(
                        Reason::ListingReplaced,
                        format!("{listing} is read, for a day at least, because {why}"),
                    ))
                    .await;
                }
                self.context.hold(&self.uid, |held| held.fetched = Some(fetched));
                Ok(Flow::Again)
            }
            Outcome::Failed(fault) => self.failed(attempt, Step::Fetch, &fault).await,
            Outcome::Interrupted => self.interrupted(),
        }
    }

    /// Writes the difference, in one transaction. One that is quick is not told of before its end: that would be a
    /// write to the API server for what nobody can see.
    pub async fn apply(&mut self) -> Result<Flow, Error> {
        let attempt = self.status().attempt;
        let Some((link, fence)) = self.tools() else {
            return Ok(Flow::Rest(Some(SignedDuration::from_secs(1))));
        };
        let hand = |held: &mut Held| Some((held.fetched.take()?, held.missed.take()));
        let Some((fetched, missed)) = self.context.hold(&self.uid, hand) else {
            return Ok(Flow::Again);
        };
        let row = self.log_row(&link);
        let applying = Next::of(self.sync(), now()).applying(fetched.len());
        let (write, unwanted) = (
            write(&link, &row, fence, (fetched, missed), options(self.sync(), &link)),
            unwanted(self.context, self.sync().clone()),
        );
        let mut work = Box::pin(async {
            tokio::select! {
                ended = write => ended.map_or_else(Outcome::Failed, Outcome::Done),
                () = unwanted => Outcome::Interrupted,
            }
        });
        let outcome = if let Ok(outcome) = timeout(PROGRESS, &mut work).await {
            outcome
        } else {
            // Never given up half-way: the end is written on top of it.
            let (told, outcome) = join(self.record.status(applying), work).await;
            if let Err(error) = told {
                tracing::warn!(sync = row.name, %error, "the step could not be told");
            }
            outcome
        };
        match outcome {
            Outcome::Done(Written::Ended(ended)) => self.ended(&endings::of_row(&ended, self.sync())).await,
            Outcome::Done(Written::ToConfirm(missed)) => {
                self.context.hold(&self.uid, |held| held.missed = Some(missed));
                Ok(Flow::Again)
            }
            Outcome::Failed(fault) => self.failed(attempt, Step::Apply, &fault).await,
            Outcome::Interrupted => self.interrupted(),
        }
    }

    fn tools(&self) -> Option<(std::sync::Arc<Link>, i64)> {
        Some((self.link()?, self.context.held(&self.uid, |held| held.fence)?))
    }

    /// The cache knows more than the copy in hand: the next turn starts from there.
    fn interrupted(&mut self) -> Result<Flow, Error> {
        self.context.drop_hand(&self.uid);
        if let Some(newer) = self.context.reader.get(&ObjectRef::from_obj(self.sync()))
            && newer.uid() == self.sync().uid()
        {
            let (ours, theirs) = (&mut self.record.sync, &newer);
            ours.spec = theirs.spec.clone();
            // What is said of the new spec must not look as if it were of the old one.
            ours.metadata.generation = theirs.metadata.generation;
            ours.metadata
                .deletion_timestamp
                .clone_from(&theirs.metadata.deletion_timestamp);
            return Ok(Flow::Again);
        }
        Err(Error::Overtaken)
    }
}

/// Rows read so far, and rows told.
#[derive(Default)]
struct Rows(AtomicU64, AtomicU64);

impl Rows {
    fn set(&self, current: u64, total: u64) {
        self.0.store(current, Ordering::Relaxed);
        self.1.store(total, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.0.load(Ordering::Relaxed), self.1.load(Ordering::Relaxed))
    }
}

/// Ends when nobody wants the run any more, or its time is up.
fn unwanted(context: &Context, sync: TaranaSync) -> impl Future<Output = ()> {
    let reader = context.reader.clone();
    let deadline = machine::deadline(&sync.spec, &sync.status.clone().unwrap_or_default(), now());
    async move {
        let name = ObjectRef::from_obj(&sync);
        loop {
            sleep(LOOK).await;
            let wanted = reader.get(&name).is_some_and(|s| {
                s.uid() == sync.uid() && !s.spec.cancel && s.metadata.deletion_timestamp.is_none()
            });
            if !wanted || now() >= deadline {
                return;
            }
        }
    }
}

/// Shows progress and keeps the log row warm for as long as it is polled. Ends only when the run is somebody else's.
async fn report(record: &mut Record<'_>, link: &Link, row: &store::Run, fence: i64, seen: &Rows) -> Fault {
    let mut ticks = interval(PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut beat = 0;
    loop {
        ticks.tick().await;
        let (current, total) = seen.get();
        let status = Next::of(&record.sync, now()).progress(current, total);
        match record.status(status).await {
            Ok(()) => {}
            Err(Error::Overtaken) => {
                return Fault::new(Reason::Superseded, "the object was changed by somebody else");
            }
            Err(Error::Kubernetes(error)) => {
                tracing::warn!(sync = row.name, %error, "progress could not be written");
            }
        }
        beat += 1;
        if beat % HEARTBEAT == 0 {
            let fetched = i64::try_from(current).unwrap_or(i64::MAX);
            match link.store.heartbeat(row.id, fence, fetched).await {
                Err(fault) if fault.reason == Reason::Superseded => return fault,
                Err(fault) => tracing::warn!(sync = row.name, %fault, "the log row could not be kept warm"),
                Ok(()) => {}
            }
        }
    }
}

/// What came of writing.
enum Written {
    /// The run has ended.
    Ended(store::Ended),
    /// Nothing was written: the listing is to be read again, since it misses these.
    ToConfirm(Missed),
}

/// Fence, plan, write, commit. Dropped anywhere before the commit, it leaves nothing.
///
/// A listing that changes while it is read can lose a station between two pages, and tell the same total on both. So
/// nothing is called stale by one reading alone: the first that misses rows is put aside, and only what the second
/// misses as well is gone.
async fn write(
    link: &Link,
    row: &store::Run,
    fence: i64,
    (fetched, missed): (Fetched, Option<Missed>),
    options: Options,
) -> Result<Written, Fault> {
    let mut apply = match link.store.begin_apply(row.id, fence).await? {
        store::Begun::Apply(apply) => apply,
        store::Begun::Ended(ended) => return Ok(Written::Ended(ended)),
    };
    let once = missed.is_none();
    let mut planner = Planner::new(fetched, options).confirming(missed);
    apply.rows(|stored| planner.see(stored)).await?;
    let missed = planner.missed();
    if once && !missed.is_empty() {
        apply.give_up().await?;
        return Ok(Written::ToConfirm(missed));
    }
    apply
        .finish(&planner.finish(), row.dry_run)
        .await
        .map(Written::Ended)
}

fn options(sync: &TaranaSync, link: &Link) -> Options {
    let unsigned = |n: i32| u32::try_from(n).unwrap_or_default();
    let guard = link.spec.delete_guard;
    Options {
        delete_stale: sync.spec.delete_stale,
        approved_deletes: sync.spec.approved_deletes.map(unsigned),
        max_percent: unsigned(guard.max_percent),
        free_count: unsigned(guard.free_count),
    }
}

/// The run as its log row names it.
pub(super) fn log_row(sync: &TaranaSync, link: &Link) -> store::Run {
    let trigger = &sync.spec.trigger;
    store::Run {
        id: sync.uid().and_then(|uid| uid.parse().ok()).unwrap_or_default(),
        namespace: sync.namespace().unwrap_or_default(),
        name: sync.name_any(),
        connection: sync.spec.connection_ref.name.clone(),
        connection_uid: link.uid,
        trigger: match trigger.type_ {
            TriggerType::Schedule => store::Trigger::Cron,
            TriggerType::Manual | TriggerType::Api => store::Trigger::Manual,
        },
        triggered_by: trigger.admin_user_id,
        actor: trigger.actor.clone().unwrap_or_default(),
        dry_run: sync.spec.dry_run,
        delete_stale: sync.spec.delete_stale,
    }
}

/// How the log row is closed. A process that was overtaken must not fail what another goes on with; a cancel is for all.
pub(super) fn closing(end: &End, status: &TaranaSyncStatus, fence: Option<i64>) -> store::Closing {
    let cancelled = end.phase == Phase::Cancelled;
    store::Closing {
        fence: fence.filter(|_| !cancelled),
        outcome: if cancelled {
            store::Outcome::Cancelled
        } else {
            store::Outcome::Failed
        },
        reason: end.reason,
        message: end.message.clone(),
        attempt: status.attempt,
    }
}

/// The audit row hears of every failed attempt. If it cannot, the object still tells of the newest. Returns the fault if
/// the run is somebody else's: then the attempt that failed was no longer the run's.
pub(super) async fn note_failure(
    link: &Link,
    row: &store::Run,
    fence: i64,
    attempt: i32,
    fault: &Fault,
) -> Option<Fault> {
    let message = format!("attempt {attempt}: {fault}");
    let fault = link.store.waiting(row.id, fence, &message).await.err()?;
    if fault.reason == Reason::Superseded {
        return Some(fault);
    }
    tracing::warn!(sync = row.name, %fault, "the log row could not be told of the failed attempt");
    None
}
