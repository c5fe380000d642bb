//! One run in one turn: what it sees, and what each of the machine's actions does to the world.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};
use std::sync::Arc;

use super::context::{Context, key};
use super::machine::{self, End, Gate, Hand, Verdict};
use super::record::Record;
use super::status::{Ending, Next};
use super::{endings, steps};
use crate::api::sync::{Phase, Step, TaranaSync, TaranaSyncStatus};
use crate::cluster::Error;
use crate::connection::{Key, Link, State, View};
use crate::fault::{Fault, Reason};
use crate::notify::News;
use crate::store;

/// How long a process that was overtaken keeps its hands off the run.
const HANDS_OFF: SignedDuration = SignedDuration::from_secs(30);
/// How soon the log row is asked again for its last word.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(3);
/// How soon a run looks again whether the row that stands in its way is closed.
const BUSY_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// Whether the run takes another turn at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It does.
    Again,
    /// It rests until it changes, or until this much later.
    Rest(Option<SignedDuration>),
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) record: Record<'a>,
    pub(super) uid: String,
    /// The step that failed in this turn: the object may not have been told yet that it was reached.
    failing: Option<Step>,
    key: Key,
    view: View,
}

impl<'a> Run<'a> {
    pub fn of(context: &'a Context, sync: TaranaSync) -> Self {
        let (key, uid) = (key(&sync), sync.uid().unwrap_or_default());
        let view = context.connections.view(&key);
        Self {
            context,
            record: Record::new(context, sync),
            uid,
            failing: None,
            key,
            view,
        }
    }

    pub fn sync(&self) -> &TaranaSync {
        &self.record.sync
    }

    pub fn hand(&self) -> Hand {
        self.context.hand(&self.uid)
    }

    pub fn due(&self) -> Option<End> {
        self.context.held(&self.uid, |held| held.due.clone())
    }

    pub(super) fn link(&self) -> Option<Arc<Link>> {
        self.view.link.clone()
    }

    pub(super) fn status(&self) -> TaranaSyncStatus {
        self.sync().status.clone().unwrap_or_default()
    }

    /// What the log row calls this run.
    pub(super) fn log_row(&self, link: &Link) -> store::Run {
        steps::log_row(self.sync(), link)
    }

    /// Looks at the connection and, while pending, at the queue.
    pub fn gate(&mut self) -> Gate {
        self.view = self.context.connections.view(&self.key);
        let pending = self.status().phase == Phase::Pending;
        if let Some(until) = self.context.held(&self.uid, |held| held.lost_until)
            && now() < until
        {
            return Gate::Shut(Fault::new(
                Reason::Superseded,
                "another process has taken this run over",
            ));
        }
        let name = &self.key.name;
        match &self.view.state {
            State::Missing => Gate::Shut(Fault::new(
                Reason::ConnectionNotFound,
                format!(
                    "TaranaConnection {name} does not exist in namespace {}: create it, or create a TaranaSync with another spec.connectionRef.name",
                    self.key.namespace
                ),
            )),
            State::Unverified(why) => Gate::Shut(Fault::new(
                Reason::ConnectionNotReady,
                format!(
                    "TaranaConnection {name} is not ready: {}: {}",
                    why.reason, why.message
                ),
            )),
            State::Refused(why) => self.refused(why.clone()),
            State::Ready if pending && self.view.suspended => Gate::Shut(Fault::new(
                Reason::ConnectionSuspended,
                format!(
                    "TaranaConnection {name} is suspended: set its spec.suspend to false to let this run start"
                ),
            )),
            State::Ready if pending => self.queue(),
            State::Ready => Gate::Open,
        }
    }

    /// A refusal counts if it is younger than the run: what a person mended before is tried anew.
    fn refused(&self, why: Fault) -> Gate {
        let created = self.sync().metadata.creation_timestamp.as_ref().map(|t| t.0);
        if self.view.checked >= created {
            return Gate::Refused(why);
        }
        self.context.connections.recheck(&self.key);
        Gate::Shut(Fault::new(
            Reason::ConnectionNotReady,
            format!(
                "TaranaConnection {} is tried again; before, it was {}: {}",
                self.key.name, why.reason, why.message
            ),
        ))
    }

    fn queue(&self) -> Gate {
        match self.context.ahead_of(self.sync()) {
            None => Gate::Open,
            Some(_) if self.context.held(&self.uid, |held| held.first) => Gate::Open,
            Some(first) => Gate::Shut(Fault::new(
                Reason::Queued,
                format!(
                    "waits for TaranaSync {}, which goes first on TaranaConnection {}",
                    first.name_any(),
                    self.key.name
                ),
            )),
        }
    }

    /// Takes the finalizer, so that the log row is closed before the object goes.
    pub async fn adopt(&mut self) -> Result<Flow, Error> {
        self.record.finalizer(true).await?;
        Ok(Flow::Again)
    }

    /// Says why the run does not go on. Its log row exists from the first turn at which there is a database.
    pub async fn wait(&mut self, why: &Fault, again: SignedDuration) -> Result<Flow, Error> {
        if why.reason == Reason::Superseded {
            return Ok(Flow::Rest(Some(again)));
        }
        if let Some(link) = self.link()
            && !self.context.held(&self.uid, |held| held.registered)
        {
            match link.store.register(&self.log_row(&link)).await {
                Ok(()) => self.context.hold(&self.uid, |held| held.registered = true),
                Err(fault) => {
                    tracing::warn!(sync = self.sync().name_any(), %fault, "the log row could not be written yet");
                }
            }
        }
        let status = Next::of(self.sync(), now()).waiting(why);
        self.record.status(status).await?;
        Ok(Flow::Rest(Some(again)))
    }

    /// Makes the log row say running, under a new fence.
    pub async fn open(&mut self, attempt: i32, resumed: bool) -> Result<Flow, Error> {
        let Some(link) = self.link() else {
            return Ok(Flow::Rest(Some(BUSY_AGAIN)));
        };
        if resumed && let Some(rest) = self.leave_it_to_the_other(&link).await {
            return Ok(Flow::Rest(Some(rest)));
        }
        match link.store.open(&self.log_row(&link), attempt).await {
            Ok(store::Opened::Fence(fence)) => self.opened(attempt, resumed, fence).await,
            Ok(store::Opened::Busy { run, name }) => {
                // Its object may say Pending, if who opened its row died or was refused before it could say so. Then it
                // must not wait for us while we wait for it.
                self.context.hold(&run.to_string(), |held| held.first = true);
                let why = format!(
                    "waits for {name}, which still runs on TaranaConnection {}",
                    self.key.name
                );
                self.wait(&Fault::new(Reason::Queued, why), BUSY_AGAIN).await
            }
            Ok(store::Opened::Ended(ended)) => self.ended(&endings::of_row(&ended, self.sync())).await,
            Err(fault) if fault.reason == Reason::DatabaseBusy => self.locked(resumed, &fault).await,
            Err(fault) => self.failed(attempt, Step::Open, &fault).await,
        }
    }

    /// Somebody holds the log row: most likely the one who applies this run. That is no failure of an attempt, and where
    /// the run is under way its status is for that one to write.
    async fn locked(&mut self, resumed: bool, fault: &Fault) -> Result<Flow, Error> {
        if resumed {
            tracing::info!(sync = self.sync().name_any(), %fault, "the run is left to whoever holds its log row");
            return Ok(Flow::Rest(Some(BUSY_AGAIN)));
        }
        self.wait(fault, BUSY_AGAIN).await
    }

    /// The fence is ours only once the object shows it: until then somebody else may, and whoever held an older one could
    /// still write over what we do.
    async fn opened(&mut self, attempt: i32, resumed: bool, fence: i64) -> Result<Flow, Error> {
        let status = Next::of(self.sync(), now()).opened(attempt, Some(fence));
        self.record.status(status).await?;
        self.context.hold(&self.uid, |held| {
            (held.fence, held.fetched, held.missed) = (Some(fence), None, None);
            (held.registered, held.lost_until) = (true, None);
        });
        self.context.connections.began(&self.key, &self.sync().name_any());
        tracing::info!(sync = self.sync().name_any(), connection = %self.key, attempt, resumed, fence, "attempt begins");
        if resumed {
            self.tell(&News::normal(
                Reason::Resumed,
                format!("goes on with attempt {attempt} in another process; not charged"),
            ))
            .await;
        } else if attempt == 1 {
            self.tell(&News::normal(Reason::Started, endings::intent(self.sync())))
                .await;
        }
        Ok(Flow::Again)
    }

    /// After it was overtaken, a process resumes only what nobody works on any more.
    async fn leave_it_to_the_other(&self, link: &Link) -> Option<SignedDuration> {
        self.context.held(&self.uid, |held| held.lost_until)?;
        let id = self.log_row(link).id;
        let heard = link.store.heard(id).await.ok().flatten()?;
        let quiet = SignedDuration::try_from(heard).unwrap_or(SignedDuration::MAX);
        (quiet < HANDS_OFF).then_some(HANDS_OFF)
    }

    /// A failed attempt: a retry, or the end.
    pub(super) async fn failed(&mut self, attempt: i32, step: Step, fault: &Fault) -> Result<Flow, Error> {
        if fault.reason == Reason::Superseded {
            return Ok(self.overtaken(fault));
        }
        self.failing = Some(step);
        tracing::warn!(sync = self.sync().name_any(), attempt, ?step, %fault, "attempt failed");
        let fence = self.context.held(&self.uid, |held| held.fence);
        match machine::judge(&self.sync().spec, &self.status(), attempt, fault, now()) {
            Verdict::End(end) => {
                if self.status().phase == Phase::Pending {
                    let status = Next::of(self.sync(), now()).opened(attempt, fence);
                    self.record.sync.status = Some(status);
                }
                self.end(&end).await
            }
            Verdict::Retry(next) => {
                self.context.drop_hand(&self.uid);
                if let (Some(link), Some(fence)) = (self.link(), fence)
                    && let Some(taken) =
                        steps::note_failure(&link, &self.log_row(&link), fence, attempt, fault).await
                {
                    return Ok(self.overtaken(&taken));
                }
                let status = Next::of(self.sync(), now()).retrying(attempt, step, fault, next);
                self.record.status(status).await?;
                self.tell(&News::warning(
                    Reason::RetryScheduled,
                    format!("attempt {attempt}: {fault}"),
                ))
                .await;
                Ok(Flow::Again)
            }
        }
    }

    /// Another process holds a newer fence: nothing of ours counts any more.
    fn overtaken(&mut self, fault: &Fault) -> Flow {
        tracing::warn!(sync = self.sync().name_any(), %fault, "fenced: another process has taken this run over");
        self.context.drop_hand(&self.uid);
        let until = now().checked_add(HANDS_OFF).unwrap_or(Timestamp::MAX);
        self.context.hold(&self.uid, |held| held.lost_until = Some(until));
        Flow::Rest(Some(HANDS_OFF))
    }

    /// Closes the log row, which has the last word, and records the end.
    pub async fn end(&mut self, end: &End) -> Result<Flow, Error> {
        let fence = self.context.held(&self.uid, |held| held.fence);
        let closed = match (self.link(), &self.view.state) {
            (Some(link), _) => {
                let closing = steps::closing(end, &self.status(), fence);
                link.store.close(&self.log_row(&link), &closing).await.map(Some)
            }
            // After a restart the tables are not known before the first trial is over, which ends in any case. Whatever the
            // object says, there may be a row: one that stays open would keep others waiting.
            (None, State::Unverified(why)) if self.view.checked.is_none() => {
                let why = why.clone();
                return self.insist(end, &why).await;
            }
            (None, State::Unverified(why)) => Err(why.clone()),
            (None, _) => Ok(None),
        };
        let ending = match closed {
            Ok(Some(ended)) => endings::of_close(&ended, end, self.sync()),
            Ok(None) => endings::without_row(end),
            Err(fault) if fault.reason == Reason::Superseded => return Ok(self.overtaken(&fault)),
            Err(fault) if !fault.is_permanent() && end.insist_until.is_some_and(|t| now() < t) => {
                return self.insist(end, &fault).await;
            }
            Err(fault) => {
                tracing::warn!(sync = self.sync().name_any(), %fault, "the log row could not be closed; the sweeper will");
                endings::without_row(end)
            }
        };
        self.ended(&ending).await
    }

    /// Waits for the log row's word, with nothing else to do.
    async fn insist(&mut self, end: &End, fault: &Fault) -> Result<Flow, Error> {
        self.context.hold(&self.uid, |held| held.due = Some(end.clone()));
        let message = format!(
            "ends as {} ({}) once its log row is closed: {}",
            end.reason, end.message, fault.message
        );
        self.wait(&Fault::new(fault.reason, message), ASK_AGAIN).await
    }

    /// Records the end.
    pub(super) async fn ended(&mut self, ending: &Ending) -> Result<Flow, Error> {
        self.context.drop_hand(&self.uid);
        let step = self.failing.or(self.status().step);
        let status = Next::of(self.sync(), now()).ended(ending, step);
        self.record.status(status).await?;
        let Ending {
            phase,
            reason,
            message,
            duration_ms,
            ..
        } = ending;
        tracing::info!(sync = self.sync().name_any(), connection = %self.key, ?phase, %reason, duration_ms, "run ended: {message}");
        Ok(Flow::Again)
    }

    /// Tells the world, then lets go of the object.
    pub async fn announce(&mut self) -> Result<Flow, Error> {
        for news in endings::news(self.sync()) {
            self.tell(&news).await;
        }
        self.context.connections.ended(&self.key, &self.sync().name_any());
        self.record.finalizer(false).await?;
        Ok(Flow::Again)
    }

    /// Its spec changed after its end.
    pub async fn acknowledge(&mut self) -> Result<Flow, Error> {
        let status = Next::of(self.sync(), now()).acknowledged();
        self.record.status(status).await?;
        Ok(Flow::Again)
    }

    /// Its time to live is over.
    pub async fn delete(&mut self) -> Result<Flow, Error> {
        self.record.delete().await?;
        Ok(Flow::Rest(None))
    }

    pub(super) async fn tell(&self, news: &News) {
        self.context
            .notifier
            .publish(&self.sync().object_ref(&()), news)
            .await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
