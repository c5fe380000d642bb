//! Whether a run may continue: the state of its connection and, while it is pending, its place in the queue.

use kube::ResourceExt;

use super::machine::Gate;
use super::run::{SyncRun, now};
use crate::api::sync::Phase;
use crate::connection::ConnectionState;
use crate::fault::{Fault, Reason};

impl SyncRun<'_> {
    /// Reads the connection again and evaluates the gate.
    pub fn gate(&mut self) -> Gate {
        self.view = self.context.connections.view(&self.connection);
        let pending = self.status().phase == Phase::Pending;
        if let Some(until) = self.context.read_state(&self.uid, |state| state.fenced_until)
            && now() < until
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
                    "TaranaConnection {name} does not exist in namespace {}: create it, or create a TaranaSync with another spec.connectionRef.name",
                    self.connection.namespace
                ),
            )),
            ConnectionState::Unverified(fault) => Gate::Blocked(Fault::new(
                Reason::ConnectionNotReady,
                format!(
                    "TaranaConnection {name} is not ready: {}: {}",
                    fault.reason, fault.message
                ),
            )),
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
        let created = self.sync().metadata.creation_timestamp.as_ref().map(|t| t.0);
        if self.view.checked >= created {
            return Gate::Rejected(fault);
        }
        self.context.connections.request_probe(&self.connection);
        Gate::Blocked(Fault::new(
            Reason::ConnectionNotReady,
            format!(
                "TaranaConnection {} is being verified again; the last result was {}: {}",
                self.connection.name, fault.reason, fault.message
            ),
        ))
    }

    fn queue(&self) -> Gate {
        match self.context.queue_head(self.sync()) {
            None => Gate::Open,
            Some(_) if self.context.read_state(&self.uid, |state| state.skips_queue) => Gate::Open,
            Some(head) => Gate::Blocked(Fault::new(
                Reason::Queued,
                format!(
                    "waits for TaranaSync {}, which precedes it on TaranaConnection {}",
                    head.name_any(),
                    self.connection.name
                ),
            )),
        }
    }
}
