//! One run in one reconcile: what it observes, and the effect of each action of the machine but Fetch and Apply.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};
use tracing::Span;

use super::concurrency::Slot;
use super::context::SyncContext;
use super::machine::{self, AttemptState, RetryDecision, Termination};
use super::record::Record;
use super::status::StatusBuilder;
use super::{log_row, results};
use crate::api::sync::{Phase, Step, TaranaSync, TaranaSyncStatus};
use crate::cluster::{ReconcileError, rejected_writes};
use crate::connection::{ConnectionClients, ConnectionView, Key, concerns_connection};
use crate::fault::{Fault, Reason};
use crate::notify::EventSpec;
use crate::store;
use crate::trace::live;

/// How long a fenced process leaves the run alone.
pub(super) const TAKEOVER_BACKOFF: SignedDuration = SignedDuration::from_secs(30);
/// Requeue interval while another run's log row is running, or this run's is locked.
pub(super) const BUSY_RETRY: SignedDuration = SignedDuration::from_secs(2);

/// How a reconcile continues.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Decide again at once.
    Continue,
    /// Reconcile again after this time, or when the object changes.
    Requeue(SignedDuration),
    /// Reconcile again when the object changes.
    AwaitChange,
}

/// One run in one reconcile.
pub(super) struct SyncRun<'a> {
    pub(super) context: &'a SyncContext,
    pub(super) record: Record<'a>,
    pub(super) uid: String,
    pub(super) connection: Key,
    pub(super) view: ConnectionView,
    /// The step that failed in this reconcile, which the object may not show yet.
    pub(super) failed_step: Option<Step>,
    /// The right to read or write.
    pub(super) slot: Option<Slot>,
}

impl<'a> SyncRun<'a> {
    pub fn new(context: &'a SyncContext, sync: TaranaSync) -> Self {
        let (connection, uid) = (Key::of_run(&sync), sync.uid().unwrap_or_default());
        let view = context.connections.view(&connection);
        Self {
            context,
            record: Record::new(context, sync),
            uid,
            connection,
            view,
            failed_step: None,
            slot: None,
        }
    }

    pub fn sync(&self) -> &TaranaSync {
        &self.record.sync
    }

    /// The time of the run.
    pub(super) fn now(&self) -> Timestamp {
        self.record.now()
    }

    pub fn attempt_state(&self) -> AttemptState {
        self.context.attempt_state(&self.uid)
    }

    pub fn pending_end(&self) -> Option<Termination> {
        self.context
            .read_state(&self.uid, |state| state.pending_end.clone())
    }

    pub(super) fn clients(&self) -> Option<Arc<ConnectionClients>> {
        self.view.clients.clone()
    }

    pub(super) fn status(&self) -> TaranaSyncStatus {
        self.sync().status.clone().unwrap_or_default()
    }

    /// The run as its log row identifies it.
    pub(super) fn run_info(&self, clients: &ConnectionClients) -> store::RunInfo {
        log_row::run_info(self.sync(), clients, self.context.cluster_uid)
    }

    /// Adds the finalizer, so that the log row is closed before the object is deleted.
    pub async fn add_finalizer(&mut self) -> Result<Next, ReconcileError> {
        self.record.add_finalizer().await?;
        Ok(Next::Continue)
    }

    /// Records why the run does not continue. Its log row is created as soon as a database is available.
    pub async fn wait(&mut self, reason: &Fault, after: SignedDuration) -> Result<Next, ReconcileError> {
        if reason.reason == Reason::Superseded {
            return Ok(Next::Requeue(after));
        }
        self.record_wait(reason);
        if let Some(clients) = self.clients()
            && !self.context.read_state(&self.uid, |state| state.registered)
        {
            match clients.store.register(&self.run_info(&clients)).await {
                Ok(()) => self.context.with_state(&self.uid, |state| {
                    (state.registered, state.clients) = (true, Some(clients));
                }),
                Err(fault) => {
                    tracing::warn!(%fault, "the log row could not be created yet");
                }
            }
        }
        let status = StatusBuilder::new(self.sync(), self.now()).waiting(reason);
        self.record.set_status(status).await?;
        Ok(Next::Requeue(after))
    }

    /// The API server rejects every write of this object: other runs go first, and its row does not stay open. The object
    /// cannot show this; an Event does.
    pub async fn give_up_writing(&mut self, why: &str) {
        let message = rejected_writes(why);
        let row_fence = self.context.with_state(&self.uid, |state| {
            state.unwritable = true;
            state.row_fence
        });
        if let (Some(clients), Some(fence)) = (self.row_clients(), row_fence) {
            let request = log_row::fail_request(Reason::InvalidObject, &message, &self.status(), Some(fence));
            match clients.store.close(&self.run_info(&clients), &request).await {
                Ok(_) => self.context.reset_attempt(&self.uid),
                Err(fault) => {
                    tracing::warn!(%fault, "the log row could not be closed");
                }
            }
        }
        self.context.requeue_next_after(self.sync());
        self.publish_event(&EventSpec::warning(Reason::InvalidObject, message))
            .await;
    }

    /// Decides between a retry and the end after a failed attempt, and records it.
    pub(super) async fn attempt_failed(
        &mut self,
        attempt: i32,
        step: Step,
        fault: &Fault,
    ) -> Result<Next, ReconcileError> {
        if fault.reason == Reason::Superseded {
            return Ok(self.fenced(fault));
        }
        self.failed_step = Some(step);
        if concerns_connection(fault) {
            // The connection shows it at once, and a permanent one stops the runs that wait.
            self.context.connections.request_probe(&self.connection);
        }
        let metrics = &self.context.metrics.runs;
        metrics.attempt_failed(self.connection.names(), fault.reason);
        tracing::warn!(attempt, ?step, %fault, "attempt failed");
        let fence = self.context.read_state(&self.uid, |state| state.fence);
        match machine::retry_decision(&self.sync().spec, &self.status(), attempt, fault, self.now()) {
            RetryDecision::Terminate(termination) => {
                if self.status().phase == Phase::Pending {
                    let status = StatusBuilder::new(self.sync(), self.now()).opened(attempt, fence);
                    self.record.sync.status = Some(status);
                }
                self.terminate(&termination).await
            }
            RetryDecision::Retry(next) => {
                self.context.reset_attempt(&self.uid);
                let spans = self.record_backoff(fault, next);
                if let (Some(clients), Some(fence)) = (self.clients(), fence)
                    && let Some(superseded) = log_row::record_failed_attempt(
                        &clients,
                        &self.run_info(&clients),
                        fence,
                        (attempt, fault),
                        &spans,
                    )
                    .await
                {
                    return Ok(self.fenced(&superseded));
                }
                let status = StatusBuilder::new(self.sync(), self.now()).retrying(attempt, step, fault, next);
                self.record.set_status(status).await?;
                self.publish_event(&EventSpec::warning(
                    Reason::RetryScheduled,
                    format!("attempt {attempt}: {fault}"),
                ))
                .await;
                Ok(Next::Continue)
            }
        }
    }

    /// Another process has a newer fence: drop the attempt.
    pub(super) fn fenced(&mut self, fault: &Fault) -> Next {
        self.context.metrics.runs.fenced();
        tracing::warn!(%fault, "fenced: another process has taken this run over");
        self.context.reset_attempt(&self.uid);
        let until = self.now().checked_add(TAKEOVER_BACKOFF).unwrap_or(Timestamp::MAX);
        self.context
            .with_state(&self.uid, |state| state.fenced_until = Some(until));
        Next::Requeue(TAKEOVER_BACKOFF)
    }

    /// Publishes the final Events, then removes the finalizer.
    pub async fn finalize(&mut self) -> Result<Next, ReconcileError> {
        let is_deleting = self.sync().metadata.deletion_timestamp.is_some();
        if is_deleting && self.context.read_state(&self.uid, |state| state.released) {
            // The object is gone. The cache will learn it; its version is the newest, because a removal does not change it.
            return Ok(Next::AwaitChange);
        }
        self.announce().await;
        self.record.remove_finalizer().await?;
        self.context.with_state(&self.uid, |state| state.released = true);
        Ok(Next::Continue)
    }

    /// Publishes the final Events, once.
    pub(super) async fn announce(&self) {
        if !self.context.read_state(&self.uid, |state| state.announced) {
            for event in results::final_events(self.sync()) {
                self.publish_event(&event).await;
            }
            self.context.with_state(&self.uid, |state| state.announced = true);
        }
    }

    /// Updates `observedGeneration` after a change of the spec of a finished run.
    pub async fn observe_generation(&mut self) -> Result<Next, ReconcileError> {
        let status = StatusBuilder::new(self.sync(), self.now()).observed();
        self.record.set_status(status).await?;
        Ok(Next::Continue)
    }

    /// Deletes the object after its time to live.
    pub async fn delete(&mut self) -> Result<Next, ReconcileError> {
        self.record.delete().await?;
        Ok(Next::AwaitChange)
    }

    pub(super) async fn publish_event(&self, event: &EventSpec) {
        self.context
            .notifier
            .publish(&self.sync().object_ref(&()), event)
            .await;
    }
}

/// Every log line of a run names it.
pub(super) fn log_span(sync: &TaranaSync) -> Span {
    let Key { namespace, name } = Key::of_run(sync);
    let uid = sync.metadata.uid.as_deref().and_then(|uid| uid.parse().ok());
    live::run(&namespace, &sync.name_any(), &name, uid.unwrap_or_default())
}
