//! Whether a run may continue: the state of its connection and, while it is pending, its place in the queue.

use std::time::Duration;

use kube::ResourceExt;

use super::clock::SteadyClock;
use super::machine::Gate;
use super::run::SyncRun;
use crate::api::sync::Phase;
use crate::connection::ConnectionState;
use crate::fault::{Fault, Reason};

/// How soon a run looks for the result of a probe that it requested.
const PROBE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl SyncRun<'_> {
    /// Reads the connection again and evaluates the gate.
    pub fn gate(&mut self) -> Gate {
        self.view = self.context.connections.view(&self.connection);
        let phase = self.status().phase;
        let pending = phase == Phase::Pending;
        if !phase.is_final() {
            self.context.with_state(&self.uid, |state| {
                state.clock.get_or_insert_with(SteadyClock::start);
            });
        }
        if let Some(until) = self.context.read_state(&self.uid, |state| state.fenced_until)
            && self.now() < until
        {
            return Gate::Blocked(Fault::new(
                Reason::Superseded,
                "another process has taken this run over",
            ));
        }
        let name = &self.connection.name;
        match &self.view.state {
            ConnectionState::Missing => Gate::Blocked(Fault::new(
                Reason::ConnectionNotFound,
                format!(
                    "TaranaConnection {name} does not exist in namespace {}{}: create it, or create a TaranaSync with another spec.connectionRef.name",
                    self.connection.namespace,
                    self.context.syncs.selector().hint()
                ),
            )),
            ConnectionState::Unverified(fault) => Gate::Blocked(Fault {
                reason: Reason::ConnectionNotReady,
                message: format!(
                    "TaranaConnection {name} is not ready: {}: {}",
                    fault.reason, fault.message
                ),
                // Only while it is being verified. The end of any other probe changes the connection, which requeues the run.
                retry_after: fault.retry_after.filter(|_| fault.reason == Reason::Verifying),
            }),
            ConnectionState::Rejected(fault) => self.rejected(fault.clone()),
            ConnectionState::Ready if pending && self.view.suspended => Gate::Blocked(Fault::new(
                Reason::ConnectionSuspended,
                format!(
                    "TaranaConnection {name} is suspended: set its spec.suspend to false to let this run start"
                ),
            )),
            ConnectionState::Ready if pending => self.queue(),
            ConnectionState::Ready => Gate::Open,
        }
    }

    /// A rejection counts if it is newer than the run. An older one may have been corrected: the connection is probed again.
    fn rejected(&self, fault: Fault) -> Gate {
        let seen = self
            .context
            .read_state(&self.uid, |state| state.clock.map(|clock| clock.instant));
        if self.view.checked >= seen {
            return Gate::Rejected(fault);
        }
        self.context.connections.request_probe(&self.connection);
        let message = format!(
            "TaranaConnection {} is being verified again; the last result was {}: {}",
            self.connection.name, fault.reason, fault.message
        );
        Gate::Blocked(Fault::new(Reason::ConnectionNotReady, message).retry_after(PROBE_CHECK_INTERVAL))
    }

    fn queue(&self) -> Gate {
        match self.context.predecessor(self.sync()) {
            None => Gate::Open,
            Some(_) if self.context.read_state(&self.uid, |state| state.skips_queue) => Gate::Open,
            Some(run) => {
                let why = self
                    .context
                    .waits_for_row(&run)
                    .map_or_else(String::new, |fault| {
                        format!(", and whose log row cannot be closed yet: {}", fault.message)
                    });
                let message = format!(
                    "waits for TaranaSync {}, which precedes it on TaranaConnection {}{why}",
                    run.name_any(),
                    self.connection.name
                );
                Gate::Blocked(Fault::new(Reason::Queued, message))
            }
        }
    }
}
