//! How a run ends: its log row is closed, then its object shows the end.

use k8s_openapi::jiff::SignedDuration;

use super::clock::now;
use super::machine::Termination;
use super::run::{Next, SyncRun};
use super::status::{RunResult, StatusBuilder};
use super::{log_row, results};
use crate::cluster::ReconcileError;
use crate::connection::ConnectionState;
use crate::fault::{Fault, Reason};

/// Requeue interval while a log row cannot be closed.
const CLOSE_RETRY: SignedDuration = SignedDuration::from_secs(3);

impl SyncRun<'_> {
    /// Closes the log row and records the end, which is the row's: it may say that the run completed.
    pub async fn terminate(&mut self, termination: &Termination) -> Result<Next, ReconcileError> {
        let fence = self.context.read_state(&self.uid, |state| state.fence);
        let closed = match (self.row_clients(), &self.view.state) {
            (Some(clients), _) => {
                let spans = self.context.with_spans(&self.uid, |spans| spans.fenced());
                let request = log_row::close_request(termination, &self.status(), fence, spans);
                clients
                    .store
                    .close(&self.run_info(&clients), &request)
                    .await
                    .map(Some)
            }
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
            Ok(None) => results::without_row(termination),
            Err(fault) if fault.reason == Reason::Superseded => return Ok(self.fenced(&fault)),
            Err(fault) if self.may_close_later(&fault, termination) => {
                return self.await_row_close(termination, &fault).await;
            }
            Err(fault) => {
                tracing::warn!(%fault, "the log row could not be closed; the sweeper will close it");
                results::without_row(termination)
            }
        };
        self.end(&result).await
    }

    /// Whether another try may close the log row. While the connection is being verified, only its former clients may be known,
    /// which a new password has locked out.
    fn may_close_later(&self, fault: &Fault, termination: &Termination) -> bool {
        let is_being_verified =
            self.view.checked.is_none() && matches!(self.view.state, ConnectionState::Unverified(_));
        let is_in_time = termination.row_close_deadline.is_some_and(|t| now() < t);
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
        let message = format!(
            "ends with {} ({}) once its log row is closed: {}",
            termination.reason, termination.message, fault.message
        );
        self.wait(&Fault::new(fault.reason, message), CLOSE_RETRY).await
    }

    /// Records the end.
    pub(super) async fn end(&mut self, result: &RunResult) -> Result<Next, ReconcileError> {
        self.context.reset_attempt(&self.uid);
        let step = self.failed_step.or(self.status().step);
        let status = StatusBuilder::new(self.sync(), now()).ended(result, step);
        self.record.set_status(status).await?;
        self.export_trace(result);
        self.context
            .with_state(&self.uid, |state| (state.clients, state.spans) = (None, None));
        self.count_end(result);
        let RunResult {
            phase,
            reason,
            message,
            duration_ms,
            ..
        } = result;
        tracing::info!(?phase, %reason, duration_ms, "run ended: {message}");
        Ok(Next::Continue)
    }
}
