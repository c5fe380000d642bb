//! The transaction of Apply: compares the fence, plans, writes and commits; repeated while other sessions have rows locked.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::Instrument as _;

use super::context::SyncContext;
use super::plan::{Missed, Options, Planner};
use crate::api::sync::TaranaSync;
use crate::connection::ConnectionClients;
use crate::fault::{Fault, Reason};
use crate::station::Fetched;
use crate::store;
use crate::trace::live;

/// From how long on locking the table is recorded as a wait. Without another lock it takes a round trip.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// Pause before a transaction is repeated that found rows locked.
const ROW_LOCK_PAUSE: Duration = Duration::from_secs(2);

/// The result of writing.
pub(super) enum Written {
    /// The run has ended.
    Closed(store::ClosedRow),
    /// Nothing was written: the listing must be read again to confirm that these rows are missing.
    ToConfirm(Missed),
}

/// Compares the fence, plans, writes and commits. If it is dropped before the commit, nothing has changed.
///
/// A row that another session has locked costs no new listing: the transaction is repeated with the same one, after a pause in which others
/// get the table.
pub(super) async fn write(
    context: &SyncContext,
    clients: &ConnectionClients,
    run: (&store::RunInfo, i64, i32),
    (mut fetched, missed): (Fetched, Option<Missed>),
    options: Options,
) -> Result<Written, Fault> {
    let uid = run.0.id.to_string();
    let show = |lock: Option<String>| context.with_state(&uid, |state| state.waits_for_lock = lock);
    loop {
        let mut locked_rows = None;
        let written = write_once(
            context,
            clients,
            run,
            (fetched, missed.clone()),
            options,
            &show,
            &mut locked_rows,
        )
        .await;
        match (written, locked_rows) {
            (Err(fault), Some((holders, listing))) if fault.reason == Reason::DatabaseBusy => {
                tracing::info!("{holders}");
                show(Some(holders));
                fetched = listing;
                sleep(ROW_LOCK_PAUSE).await;
            }
            (written, _) => {
                show(None);
                return written;
            }
        }
    }
}

/// One transaction. `locked_rows` gets who has locked rows, and the listing to repeat it with.
///
/// A listing that changes while it is read can lose a station between two pages although both report the same total. So one
/// reading alone makes no row stale: a first listing that misses rows is discarded, and only rows that the second one misses
/// as well are stale.
async fn write_once(
    context: &SyncContext,
    clients: &ConnectionClients,
    (run, fence, attempt): (&store::RunInfo, i64, i32),
    (fetched, missed): (Fetched, Option<Missed>),
    options: Options,
    show: &(dyn Fn(Option<String>) + Sync),
    locked_rows: &mut Option<(String, Fetched)>,
) -> Result<Written, Fault> {
    let on_wait = |lock| show(Some(lock));
    let opening = clients.store.begin_apply(run.id, fence, &on_wait);
    let mut apply = match opening.instrument(live::operation("lock")).await? {
        store::BeginApply::Started(apply) => apply,
        store::BeginApply::Closed(row) => return Ok(Written::Closed(row)),
    };
    show(None);
    record_lock_wait(context, run, attempt, apply.locking());
    let holders = apply.row_lock_holders().await?;
    *locked_rows = holders.map(|holders| (holders, fetched.clone()));
    let is_first_reading = missed.is_none();
    let mut planner = Planner::new(fetched, options).confirming(missed);
    let read = apply.read_rows(|stored| planner.add_row(stored));
    read.instrument(live::operation("read rows")).await?;
    let missed = planner.missed();
    if is_first_reading && !missed.is_empty() {
        apply.abort().await?;
        return Ok(Written::ToConfirm(missed));
    }
    let spans = context.with_spans(&run.id.to_string(), |spans| spans.spans());
    let plan = planner.finish();
    if !context.lease.is_valid_now() {
        let message = "the lease of this process has ended before the commit";
        return Err(Fault::new(Reason::Superseded, message));
    }
    let finish = apply.finish(&plan, run.dry_run, &spans);
    finish
        .instrument(live::operation("write"))
        .await
        .map(Written::Closed)
}

fn record_lock_wait(context: &SyncContext, run: &store::RunInfo, attempt: i32, locking: Duration) {
    if locking >= LOCK_WAIT {
        let now = Instant::now();
        let began = now.checked_sub(locking).unwrap_or(now);
        context.with_spans(&run.id.to_string(), |spans| {
            spans.waited_for_lock(attempt, began, now);
        });
    }
}

pub(super) fn options(sync: &TaranaSync, clients: &ConnectionClients) -> Options {
    let unsigned = |n: i32| u32::try_from(n).unwrap_or_default();
    let guard = clients.spec.delete_guard;
    Options {
        delete_stale: sync.spec.delete_stale,
        approved_deletes: sync.spec.approved_deletes.map(unsigned),
        max_percent: unsigned(guard.max_percent),
        free_count: unsigned(guard.free_count),
    }
}
