//! How an attempt begins: the log row is set to running under a new fence, then the object shows it. A run that another process left is
//! resumed, unless that process may still work on it, or ended in the attempt too often.

use std::time::Instant;

use k8s_openapi::jiff::SignedDuration;
use uuid::Uuid;

use super::results;
use super::run::{BUSY_RETRY, Next, SyncRun, TAKEOVER_BACKOFF};
use super::spans::Opening;
use super::status::StatusBuilder;
use crate::api::sync::Step;
use crate::cluster::ReconcileError;
use crate::connection::ConnectionClients;
use crate::fault::{Fault, Reason};
use crate::notify::EventSpec;
use crate::store;

/// How often a process may end during an attempt without handing over before the attempt has failed.
const MAX_INTERRUPTIONS: i32 = 2;
const CRASHED: &str = "the operator ended twice during this attempt without handing over, for example for lack of memory: see the end of its log (kubectl logs --previous)";

impl SyncRun<'_> {
    /// Sets the log row to running under a new fence.
    pub async fn open(&mut self, attempt: i32, resumed: bool) -> Result<Next, ReconcileError> {
        let Some(clients) = self.clients().filter(|_| self.context.lease.is_valid_now()) else {
            return Ok(Next::Requeue(BUSY_RETRY));
        };
        if resumed && let Some(after) = self.defer_to_owner(&clients).await {
            return Ok(Next::Requeue(after));
        }
        self.close_former_row(&clients).await;
        let began = Instant::now();
        let mut spans = self.context.with_spans(&self.uid, |spans| spans.clone());
        let record = |row: &store::OpenedRow| {
            let now = Instant::now();
            spans.open(
                row,
                Opening {
                    attempt,
                    resumed,
                    began,
                    now,
                },
            );
            spans.spans()
        };
        match clients
            .store
            .open(&self.run_info(&clients), attempt, record)
            .await
        {
            Ok(store::OpenResult::Opened(fence)) => {
                self.context.with_state(&self.uid, |state| {
                    (state.clients, state.row_fence) = (Some(clients), Some(fence));
                    state.spans = Some(spans);
                });
                self.step_measured(Step::Open, false, began);
                let interrupted_in = self.interrupted_in(resumed);
                // Before the object shows it: that write may succeed although its response is lost.
                self.context
                    .with_state(&self.uid, |state| state.was_opened = true);
                self.opened((attempt, resumed), fence, interrupted_in).await
            }
            Ok(store::OpenResult::Busy { run, name }) => self.wait_for_row(run, &name).await,
            Ok(store::OpenResult::Closed(row)) => self.end(&results::from_row(&row, self.sync())).await,
            Err(fault) if fault.reason == Reason::DatabaseBusy => self.row_locked(resumed, &fault).await,
            Err(fault) => {
                let now = Instant::now();
                self.context
                    .with_spans(&self.uid, |spans| spans.fail_to_open(attempt, began, now));
                self.step_measured(Step::Open, true, began);
                self.attempt_failed(attempt, Step::Open, &fault).await
            }
        }
    }

    /// The log row of another run of the connection is running.
    async fn wait_for_row(&mut self, run: Uuid, name: &str) -> Result<Next, ReconcileError> {
        // The object of the running row may still say Pending (crash between row and status). It must skip the queue,
        // or both runs wait for each other.
        self.context
            .with_state(&run.to_string(), |state| state.skips_queue = true);
        let why = self.context.connections.open_rows(&self.connection).remove(&run);
        let why = why.map_or_else(String::new, |(_, fault)| {
            format!(", because its log row cannot be closed: {}", fault.message)
        });
        let message = format!(
            "waits for TaranaSync {name}, which is still running on TaranaConnection {}{why}",
            self.connection.name
        );
        self.wait(&Fault::new(Reason::Queued, message), BUSY_RETRY).await
    }

    /// Another process holds a lock on the log row: most likely it is applying this run. That is not a failed attempt, and
    /// if the run is active, its owner writes the status.
    async fn row_locked(&mut self, resumed: bool, fault: &Fault) -> Result<Next, ReconcileError> {
        if resumed {
            tracing::info!(%fault, "the run is left to the owner of its log row");
            return Ok(Next::Requeue(BUSY_RETRY));
        }
        self.wait(fault, BUSY_RETRY).await
    }

    /// This process owns the fence only once the object shows it: before that, a process with an older fence could still
    /// overwrite the status.
    async fn opened(
        &mut self,
        (attempt, resumed): (i32, bool),
        fence: i64,
        interrupted_in: Option<Step>,
    ) -> Result<Next, ReconcileError> {
        let mut status = StatusBuilder::new(self.sync(), self.now()).opened(attempt, Some(fence));
        if interrupted_in.is_some() {
            status.interruptions = status.interruptions.saturating_add(1);
        }
        self.record.set_status(status).await?;
        self.context.with_state(&self.uid, |state| {
            (state.fence, state.fetched, state.missed) = (Some(fence), None, None);
            (state.registered, state.fenced_until) = (true, None);
        });
        tracing::info!(attempt, resumed, fence, "attempt started");
        if resumed {
            self.publish_event(&EventSpec::normal(
                Reason::Resumed,
                format!("another process continues attempt {attempt}, which is not charged"),
            ))
            .await;
        } else if attempt == 1 {
            self.publish_event(&EventSpec::normal(
                Reason::Started,
                results::describe_intent(self.sync()),
            ))
            .await;
        }
        if let Some(step) = interrupted_in
            && self.status().interruptions >= MAX_INTERRUPTIONS
        {
            let fault = Fault::new(Reason::OperatorCrashed, CRASHED);
            return self.attempt_failed(attempt, step, &fault).await;
        }
        Ok(Next::Continue)
    }

    /// The step in which another process ended without handing the run over, which this process resumes.
    fn interrupted_in(&self, resumed: bool) -> Option<Step> {
        let was_opened = self.context.read_state(&self.uid, |state| state.was_opened);
        let was_found = self.context.was_found_in_a_step(&self.uid);
        let has_ended = resumed && was_found && !was_opened && !self.context.lease.was_handed_over();
        self.status().step.filter(|_| has_ended)
    }

    /// A fenced process resumes a run only once its heartbeat has stopped.
    async fn defer_to_owner(&self, clients: &ConnectionClients) -> Option<SignedDuration> {
        self.context.read_state(&self.uid, |state| state.fenced_until)?;
        let id = self.run_info(clients).id;
        let silence = clients.store.time_since_heartbeat(id).await.ok().flatten()?;
        let silence = SignedDuration::try_from(silence).unwrap_or(SignedDuration::MAX);
        (silence < TAKEOVER_BACKOFF).then_some(TAKEOVER_BACKOFF)
    }
}
