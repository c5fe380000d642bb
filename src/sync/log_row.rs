//! How a run is written to its log row.

use kube::ResourceExt;
use uuid::Uuid;

use super::machine::Termination;
use crate::api::sync::{Phase, TaranaSync, TaranaSyncStatus, TriggerType};
use crate::connection::ConnectionClients;
use crate::fault::{Fault, Reason};
use crate::store::{CloseRequest, Outcome, RunInfo, Span, Trigger, attempt_message};

/// The run as its log row identifies it.
pub(super) fn run_info(sync: &TaranaSync, clients: &ConnectionClients, cluster_uid: Option<Uuid>) -> RunInfo {
    let trigger = &sync.spec.trigger;
    RunInfo {
        id: run_id(sync),
        namespace: sync.namespace().unwrap_or_default(),
        name: sync.name_any(),
        connection: sync.spec.connection_ref.name.clone(),
        connection_uid: clients.uid,
        cluster_uid,
        trigger: match trigger.type_ {
            TriggerType::Schedule => Trigger::Cron,
            TriggerType::Manual | TriggerType::Api => Trigger::Manual,
        },
        triggered_by: trigger.admin_user_id,
        actor: trigger.actor.clone().unwrap_or_default(),
        dry_run: sync.spec.dry_run,
        delete_stale: sync.spec.delete_stale,
    }
}

/// The id of a run in its log row.
pub(super) fn run_id(sync: &TaranaSync) -> Uuid {
    sync.uid().and_then(|uid| uid.parse().ok()).unwrap_or_default()
}

/// How the log row is closed. A failure needs the fence, because a superseded process must not fail a run that another
/// process continues; a cancellation applies whoever owns the run.
pub(super) fn close_request(
    termination: &Termination,
    status: &TaranaSyncStatus,
    fence: Option<i64>,
    spans: Option<(i64, Vec<Span>)>,
) -> CloseRequest {
    let cancelled = termination.phase == Phase::Cancelled;
    CloseRequest {
        fence: fence.filter(|_| !cancelled),
        spans,
        outcome: if cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Failed
        },
        reason: termination.reason,
        message: termination.message.clone(),
        attempt: status.attempt,
    }
}

/// Closes the log row as failed for another reason than the end of the run.
pub(super) fn fail_request(
    reason: Reason,
    message: &str,
    status: &TaranaSyncStatus,
    fence: Option<i64>,
) -> CloseRequest {
    CloseRequest {
        fence,
        spans: None,
        outcome: Outcome::Failed,
        reason,
        message: message.to_owned(),
        attempt: status.attempt,
    }
}

/// Records a failed attempt, and the spans of the run, in the log row. If that fails, the object still has the newest failure. Returns the fault if
/// another process owns the run: then the failed attempt was not the run's any more.
pub(super) async fn record_failed_attempt(
    clients: &ConnectionClients,
    run: &RunInfo,
    fence: i64,
    (attempt, fault): (i32, &Fault),
    spans: &[Span],
) -> Option<Fault> {
    let message = attempt_message(attempt, fault);
    let fault = clients
        .store
        .record_failure(run.id, fence, &message, spans)
        .await
        .err()?;
    if fault.reason == Reason::Superseded {
        return Some(fault);
    }
    tracing::warn!(%fault, "the failed attempt could not be recorded in the log row");
    None
}
