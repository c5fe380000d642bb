//! How a run ends: its log row is closed, then its object shows the end.

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;

use super::machine::{Termination, has_finalizer};
use super::run::{Next, SyncRun};
use super::status::{RunResult, StatusBuilder};
use super::{log_row, results};
use crate::cluster::ReconcileError;
use crate::connection::{ConnectionClients, ConnectionState};
use crate::fault::{Fault, Reason};
use crate::store::ClosedRow;

/// Requeue interval while a log row cannot be closed.
const CLOSE_RETRY: SignedDuration = SignedDuration::from_secs(3);

impl SyncRun<'_> {
    /// Closes the log row and records the end, which is the row's: it may say that the run completed.
    pub async fn terminate(&mut self, termination: &Termination) -> Result<Next, ReconcileError> {
        let fence = self.context.read_state(&self.uid, |state| state.fence);
        let closed = match (self.row_clients(), &self.view.state) {
            (Some(clients), _) => self.close_row(&clients, termination, fence).await.map(Some),
            // After a restart no database is available before the first probe ends. A row may exist, whatever the object says,
            // and if it stayed open, other runs would wait for it.
            (None, ConnectionState::Unverified(reason)) if self.view.checked.is_none() => {
                let reason = reason.clone();
                return self.await_row_close(termination, &reason).await;
            }
            (None, ConnectionState::Unverified(reason)) => Err(reason.clone()),
            (None, _) => Ok(None),
        };
        let result = match closed {
            Ok(Some(row)) => results::from_close(&row, termination, self.sync()),
            Ok(None) => {
                self.context.with_state(&self.uid, |state| state.unsettled = true);
                results::without_row(termination)
            }
            Err(fault) if fault.reason == Reason::Superseded => return Ok(self.fenced(&fault)),
            Err(fault) if self.may_close_later(&fault, termination) => {
                return self.await_row_close(termination, &fault).await;
            }
            Err(fault) => {
                tracing::warn!(%fault, "the log row could not be closed; the sweeper will close it");
                self.row_is_open(&fault);
                self.context.with_state(&self.uid, |state| state.unsettled = true);
                // A fault that persists says that nothing was committed; one that may pass can hide the commit.
                if self.may_have_committed() && !fault.is_permanent() {
                    results::of_unknown_outcome(termination, &fault)
                } else {
                    results::without_row(termination)
                }
            }
        };
        self.end(&result).await
    }

    /// Whether another try may close the log row. While the connection is being verified, only its former clients may be known,
    /// which a new password has locked out.
    fn may_close_later(&self, fault: &Fault, termination: &Termination) -> bool {
        let is_being_verified =
            self.view.checked.is_none() && matches!(self.view.state, ConnectionState::Unverified(_));
        let is_in_time = termination.row_close_deadline.is_some_and(|t| self.now() < t);
        is_being_verified || (!fault.is_permanent() && is_in_time)
    }

    /// Waits until the log row can be closed.
    async fn await_row_close(
        &mut self,
        termination: &Termination,
        fault: &Fault,
    ) -> Result<Next, ReconcileError> {
        self.context.with_state(&self.uid, |state| {
            state.pending_end = Some(termination.clone());
        });
        if self.row_is_open(fault) {
            tracing::warn!(%fault, "the log row could not be closed yet");
        }
        let unknown = if self.may_have_committed() {
            "; until then it is unknown whether its changes were committed"
        } else {
            ""
        };
        let message = format!(
            "ends with {} ({}) once its log row is closed{unknown}: {}",
            termination.reason, termination.message, fault.message
        );
        self.wait(&Fault::new(fault.reason, message), CLOSE_RETRY).await
    }

    /// Shows why the log row cannot be closed: the connection, and the runs that wait for it. Returns whether the cause is new.
    fn row_is_open(&self, fault: &Fault) -> bool {
        let (has_row, is_new) = self.context.with_state(&self.uid, |state| {
            let former = state.row_fault.replace(fault.clone());
            (state.registered, former.as_ref() != Some(fault))
        });
        if is_new {
            self.context.requeue_next_after(self.sync());
        }
        if has_row {
            let name = self.sync().name_any();
            self.context
                .connections
                .report_open_row(&self.connection, self.run_uid(), &name, fault);
        }
        is_new
    }

    /// Whether Apply may have begun. The object shows that step late.
    fn may_have_committed(&self) -> bool {
        self.status().fence.is_some() && !self.sync().spec.dry_run
    }

    /// The log row is closed, and the object says the same.
    pub(super) fn settled(&self) {
        self.context
            .with_state(&self.uid, |state| state.unsettled = false);
        self.context
            .connections
            .row_closed(&self.connection, self.run_uid());
    }

    /// Corrects the end of a run whose log row could not be read when it ended.
    pub(super) async fn correct(&mut self, result: &RunResult) -> Result<(), ReconcileError> {
        let ended = self.status().completion_time;
        let mut status = StatusBuilder::new(self.sync(), self.now()).ended(result, None);
        status.completion_time = ended.or(status.completion_time);
        self.record.set_status(status).await?;
        tracing::info!(phase = ?result.phase, reason = %result.reason, "run corrected: {}", result.message);
        for event in results::final_events(self.sync()) {
            self.publish_event(&event).await;
        }
        Ok(())
    }

    /// Records the end.
    pub(super) async fn end(&mut self, result: &RunResult) -> Result<Next, ReconcileError> {
        self.context.reset_attempt(&self.uid);
        if result.duration_ms.is_some() {
            self.context
                .connections
                .row_closed(&self.connection, self.run_uid());
        }
        let step = self.failed_step.or(self.status().step);
        let status = StatusBuilder::new(self.sync(), self.now()).ended(result, step);
        self.record.set_status(status).await?;
        if !has_finalizer(self.sync()) {
            self.announce().await;
        }
        self.report_end(result);
        Ok(Next::Continue)
    }

    /// Closes the log row. Returns what it says of the end.
    pub(super) async fn close_row(
        &self,
        clients: &ConnectionClients,
        termination: &Termination,
        fence: Option<i64>,
    ) -> Result<ClosedRow, Fault> {
        let spans = self.context.with_spans(&self.uid, |spans| spans.fenced());
        let request = log_row::close_request(termination, &self.status(), fence, spans);
        clients.store.close(&self.run_info(clients), &request).await
    }

    /// Exports, counts and logs the end, which the object shows.
    pub(super) fn report_end(&self, result: &RunResult) {
        self.export_trace(result);
        self.context.with_state(&self.uid, |state| {
            (state.clients, state.spans, state.row_fault) = (None, None, None);
        });
        self.count_end(result);
        let RunResult {
            phase,
            reason,
            message,
            duration_ms,
            ..
        } = result;
        tracing::info!(?phase, %reason, duration_ms, "run ended: {message}");
    }
}
