//! Which database has the log row of a run. The connection and its Secrets may change, or be deleted, before the run ends.

use std::sync::Arc;

use super::log_row;
use super::run::SyncRun;
use crate::connection::ConnectionClients;
use crate::fault::Reason;

impl SyncRun<'_> {
    /// The clients of the database that has the log row: the present ones, unless the connection or a Secret is gone or names
    /// another database.
    pub(super) fn row_clients(&self) -> Option<Arc<ConnectionClients>> {
        let opened = self.context.read_state(&self.uid, |state| state.clients.clone());
        match (opened, self.clients()) {
            (Some(opened), Some(current)) if opened.store.is_same_database(&current.store) => Some(current),
            (Some(opened), _) => Some(opened),
            (None, current) => current,
        }
    }

    /// Closes the row in the database that the connection named before. It would stay open there.
    pub(super) async fn close_former_row(&mut self, current: &Arc<ConnectionClients>) {
        let former = self.context.read_state(&self.uid, |state| state.clients.clone());
        let Some(former) = former.filter(|former| !former.store.is_same_database(&current.store)) else {
            return;
        };
        let run = self.run_info(current);
        let closed = match current.store.has_log_row(run.id).await {
            // The same database under another address.
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = "the run continues in another database, which its connection names since";
                let request = log_row::fail_request(Reason::Superseded, message, &self.status(), None);
                former.store.close(&run, &request).await.map(drop)
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = closed {
            tracing::warn!(%fault, "the log row in the former database could not be closed");
        }
        let current = Arc::clone(current);
        self.context
            .with_state(&self.uid, |state| state.clients = Some(current));
    }
}
