//! Makes the log row and the object of a run agree that ended while its database could not be reached: the row is closed with the
//! reason of the object, or written if there is none. If the row says that the run had committed, the object is corrected.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;

use super::clock::now;
use super::context::SyncContext;
use super::run::SyncRun;
use super::{log_row, results};
use crate::api::sync::{Phase, TaranaSync};
use crate::cluster::ReconcileError;
use crate::connection::{ConnectionClients, Key};
use crate::fault::{Fault, Reason};
use crate::store::{CloseRequest, Outcome};

/// How long after its end a run is looked at that may have no row, by a process that has not seen the end.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// Most runs of one connection in one turn. Each costs a transaction.
const MAX_RUNS: usize = 1000;

/// Settles the ended runs of a connection that this process knows to have no closed row and, in its `first` turn, also those that a
/// former process may have left.
pub(super) async fn settle(
    context: &SyncContext,
    connection: &Key,
    clients: &Arc<ConnectionClients>,
    first: bool,
) -> Result<(), Fault> {
    let known = context.unsettled();
    if known.is_empty() && !first {
        return Ok(());
    }
    let is_unsettled = |sync: &TaranaSync| {
        let is_known = sync.metadata.uid.as_ref().is_some_and(|uid| known.contains(uid));
        sync.is_final() && (is_known || (first && may_be_unsettled(sync))) && Key::of_run(sync) == *connection
    };
    let runs = context.reader().state_filter(is_unsettled);
    if runs.len() > MAX_RUNS {
        tracing::warn!(
            runs = runs.len(),
            "only {MAX_RUNS} ended runs are compared with their log rows"
        );
    }
    let mut rejected = Ok(());
    for sync in runs.into_iter().take(MAX_RUNS) {
        let (id, name) = (log_row::run_id(&sync), sync.name_any());
        match settle_run(context, clients, sync).await {
            Ok(()) => {}
            Err(fault) if fault.reason == Reason::DatabaseUnreachable => return Err(fault),
            // One row that cannot be closed delays no other.
            Err(fault) => {
                context.connections.report_open_row(connection, id, &name, &fault);
                rejected = Err(fault);
            }
        }
    }
    rejected
}

/// The connections of the runs that this process knows to have no closed row.
pub(super) fn unsettled_connections(context: &SyncContext) -> HashSet<Key> {
    let uids = context.unsettled();
    if uids.is_empty() {
        return HashSet::new();
    }
    let is_unsettled = |sync: &TaranaSync| sync.metadata.uid.as_ref().is_some_and(|uid| uids.contains(uid));
    let runs = context.reader().state_filter(is_unsettled);
    runs.iter().map(|sync| Key::of_run(sync)).collect()
}

/// Whether a former process may have left the run without a closed row: its outcome is unknown, or it never had a fence.
fn may_be_unsettled(sync: &TaranaSync) -> bool {
    let Some(status) = &sync.status else { return false };
    let ended = status.completion_time.as_ref().map(|time| time.0);
    let is_new = ended.is_some_and(|ended| now().duration_since(ended) < MAX_AGE);
    let never_opened = status.fence.is_none() && status.phase != Phase::Completed;
    results::has_unknown_outcome(sync) || (is_new && never_opened)
}

async fn settle_run(
    context: &SyncContext,
    clients: &Arc<ConnectionClients>,
    sync: Arc<TaranaSync>,
) -> Result<(), Fault> {
    let (end, status) = (results::swept(&sync), sync.status.clone().unwrap_or_default());
    let request = CloseRequest {
        outcome: end.outcome,
        reason: end.reason,
        message: end.message,
        attempt: status.attempt,
        fence: None,
        spans: None,
    };
    let info = log_row::run_info(&sync, clients, context.cluster_uid);
    let row = clients.store.close(&info, &request).await?;
    let has_unknown_outcome = results::has_unknown_outcome(&sync);
    let mut run = SyncRun::new(context, (*sync).clone());
    let differs = row.outcome == Outcome::Completed && status.phase != Phase::Completed;
    if differs || has_unknown_outcome {
        let corrected = run.correct(&results::from_row(&row, &sync)).await;
        match corrected {
            Ok(()) => {}
            // The object is gone, or changed: the next turn sees it.
            Err(ReconcileError::Conflict) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the run could not be corrected yet");
                return Ok(());
            }
        }
    }
    run.settled();
    Ok(())
}
