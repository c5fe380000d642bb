//! Ends runs whose objects are gone although they had not ended. A run that has not started has no finalizer, so that its deletion never
//! waits for an operator; its log row is closed here, or by the sweeper if no process saw the deletion.

use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use tracing::Instrument as _;

use super::context::SyncContext;
use super::run::{SyncRun, log_span};
use super::status::StatusBuilder;
use super::{machine, results};
use crate::api::sync::TaranaSync;
use crate::fault::Fault;

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
