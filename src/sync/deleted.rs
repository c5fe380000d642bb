//! Ends runs whose objects are gone although they had not ended. A run that has not started has no finalizer, so that its deletion never
//! waits for an operator; its log row is closed here, or by the sweeper if no process saw the deletion. A run whose labels no longer match the
//! selector looks deleted too: it stops here, and the operator that selects it continues it.

use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use kube::ResourceExt;
use tracing::Instrument as _;

use super::context::SyncContext;
use super::other_shards::{self, UncachedRun};
use super::run::{SyncRun, log_span};
use super::status::StatusBuilder;
use super::{machine, results};
use crate::api::sync::TaranaSync;
use crate::fault::{Fault, Reason};

/// Log rows that are closed at the same time.
const CONCURRENCY: usize = 16;

/// Runs until the stream ends.
pub(super) async fn close_rows(context: &SyncContext, deleted: UnboundedReceiver<Arc<TaranaSync>>) {
    deleted
        .for_each_concurrent(CONCURRENCY, |sync| async move {
            let span = log_span(&sync);
            let close = async {
                if let Err(fault) = close_row(context, &sync).await {
                    tracing::warn!(%fault, "the log row of the deleted run could not be closed; the sweeper will close it");
                }
            };
            close.instrument(span).await;
        })
        .await;
}

async fn close_row(context: &SyncContext, sync: &TaranaSync) -> Result<(), Fault> {
    if belongs_to_another(context, sync).await? {
        tracing::info!(
            "the labels of the run do not match --watch-selector any more: another operator continues it, if one selects it"
        );
        context.hand_over(&sync.uid().unwrap_or_default());
        return Ok(());
    }
    let mut run = SyncRun::new(context, sync.clone());
    let Some(clients) = run.row_clients() else {
        return Ok(());
    };
    let termination = machine::deleted(sync);
    let row = run.close_row(&clients, &termination, None).await?;
    let result = results::from_close(&row, &termination, sync);
    run.settled();
    run.record.sync.status = Some(StatusBuilder::new(sync, run.now()).ended(&result, run.status().step));
    run.announce().await;
    run.report_end(&result);
    Ok(())
}

/// Whether the object exists although the cache has lost it, and can be decoded or is not in the cache of those that cannot.
async fn belongs_to_another(context: &SyncContext, sync: &TaranaSync) -> Result<bool, Fault> {
    let invalid = context.syncs.invalid();
    if invalid
        .borrow()
        .values()
        .any(|other| other.metadata.uid == sync.metadata.uid)
    {
        return Ok(false);
    }
    let (namespace, uid) = (
        sync.namespace().unwrap_or_default(),
        sync.uid().unwrap_or_default(),
    );
    match other_shards::find(context, &namespace, &sync.name_any(), &uid).await {
        UncachedRun::Gone => Ok(false),
        UncachedRun::Exists(_) => Ok(true),
        UncachedRun::Unknown(error) => {
            context.hand_over(&uid);
            let message = format!(
                "it is unknown whether its object is deleted, or selected by another operator: {error}"
            );
            Err(Fault::new(Reason::Abandoned, message))
        }
    }
}
