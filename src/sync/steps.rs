//! The two long steps, Fetch and Apply. Either is dropped at once when the watch cache shows that the run is cancelled or
//! deleted, when the deadline passes, and when the process stops. Only what was committed remains.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::context::{RunState, SyncContext};
use super::record::Record;
use super::run::{Next, SyncRun};
use super::status::StatusBuilder;
use super::writing::{Written, options, write};
use super::{machine, results};
use crate::api::sync::{Step, TaranaSync};
use crate::cluster::ReconcileError;
use crate::connection::ConnectionClients;
use crate::fault::{Fault, Reason};
use crate::notify::EventSpec;
use crate::store::{self, Span};

/// How often the watch cache is checked for a cancellation. This costs no request.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Interval of progress updates of the object. A shorter step is shown by its result only.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// An Apply that lasts longer is taken for one whose database does not respond.
const LONG_APPLY: Duration = Duration::from_secs(20);
/// Number of progress updates per heartbeat of the log row.
const HEARTBEAT_EVERY: u32 = 4;

/// The result of a long step.
enum StepResult<T> {
    Done(T),
    Failed(Fault),
    /// The run was cancelled, deleted or has expired: the next reconcile sees which.
    Interrupted,
}

impl SyncRun<'_> {
    /// Reads the complete listing.
    pub async fn fetch(&mut self) -> Result<Next, ReconcileError> {
        let attempt = self.status().attempt;
        let Some((clients, fence)) = self.clients_and_fence() else {
            return Ok(Next::Requeue(SignedDuration::from_secs(1)));
        };
        let rows_read = RowsRead::default();
        let began = self.begin_step(attempt, Step::Fetch);
        let run = self.run_info(&clients);
        let outcome = {
            let progress = |current, total| rows_read.set(current, total);
            let fetch = clients.tarana.fetch(&progress);
            let cancelled_or_expired = cancelled_or_expired(self.context, self.sync().clone());
            let context = self.context;
            let spans = || record_reading(context, &run, attempt, &clients, &rows_read);
            let publish_progress =
                publish_progress(&mut self.record, &clients, (&run, fence), &rows_read, spans);
            tokio::select! {
                fetched = fetch => fetched.map_or_else(StepResult::Failed, StepResult::Done),
                () = cancelled_or_expired => StepResult::Interrupted,
                fault = publish_progress => StepResult::Failed(fault),
            }
        };
        record_reading(self.context, &run, attempt, &clients, &rows_read);
        self.end_step(Step::Fetch, began, &outcome);
        match outcome {
            StepResult::Done(mut fetched) => {
                if let Some(why) = fetched.fallback_reason.take() {
                    let listing = fetched.listing;
                    tracing::warn!(%listing, "fell back on another listing: {why}");
                    self.publish_event(&EventSpec::warning(
                        Reason::ListingReplaced,
                        format!("reads {listing} for at least a day, because {why}"),
                    ))
                    .await;
                }
                self.context
                    .with_state(&self.uid, |state| state.fetched = Some(fetched));
                Ok(Next::Continue)
            }
            StepResult::Failed(fault) => self.attempt_failed(attempt, Step::Fetch, &fault).await,
            StepResult::Interrupted => self.interrupted(),
        }
    }

    /// Writes the difference in one transaction. The step is shown in the object only if it lasts, to save a write to the API
    /// server.
    pub async fn apply(&mut self) -> Result<Next, ReconcileError> {
        let attempt = self.status().attempt;
        let Some((clients, fence)) = self.clients_and_fence() else {
            return Ok(Next::Requeue(SignedDuration::from_secs(1)));
        };
        let take = |state: &mut RunState| Some((state.fetched.take()?, state.missed.take()));
        let Some((fetched, missed)) = self.context.with_state(&self.uid, take) else {
            return Ok(Next::Continue);
        };
        let run = self.run_info(&clients);
        let began = self.begin_step(attempt, Step::Apply);
        let rows = fetched.len();
        let (write, cancelled_or_expired) = (
            write(
                self.context,
                &clients,
                (&run, fence, attempt),
                (fetched, missed),
                options(self.sync(), &clients),
            ),
            cancelled_or_expired(self.context, self.sync().clone()),
        );
        let work = Box::pin(async {
            tokio::select! {
                written = write => written.map_or_else(StepResult::Failed, StepResult::Done),
                () = cancelled_or_expired => StepResult::Interrupted,
            }
        });
        let outcome = self.show_while(work, rows).await;
        self.end_step(Step::Apply, began, &outcome);
        match outcome {
            StepResult::Done(Written::Closed(row)) => self.end(&results::from_row(&row, self.sync())).await,
            StepResult::Done(Written::ToConfirm(missed)) => {
                self.context
                    .with_state(&self.uid, |state| state.missed = Some(missed));
                Ok(Next::Continue)
            }
            StepResult::Failed(fault) => self.attempt_failed(attempt, Step::Apply, &fault).await,
            StepResult::Interrupted => self.interrupted(),
        }
    }

    /// Shows Apply, and the lock for which it waits, in the object while it lasts.
    async fn show_while<T>(&mut self, mut work: impl Future<Output = T> + Unpin, rows: usize) -> T {
        let (mut shown, began) = (None, Instant::now());
        loop {
            if let Ok(outcome) = timeout(PROGRESS_INTERVAL, &mut work).await {
                return outcome;
            }
            let lock = self
                .context
                .read_state(&self.uid, |state| state.waits_for_lock.clone());
            // How far the transaction has come is not known.
            if lock.is_none() && began.elapsed() < LONG_APPLY {
                self.context.slots.progressed(&self.uid);
            }
            if shown.as_ref() == Some(&lock) {
                continue;
            }
            let status = StatusBuilder::new(self.sync(), self.now()).applying(rows, lock.as_deref());
            shown = Some(lock);
            // The write is always awaited, because the final status is written on top of it.
            let mut write = pin!(self.record.set_status(status));
            let (written, outcome) = tokio::select! {
                outcome = &mut work => (write.await, Some(outcome)),
                written = &mut write => (written, None),
            };
            if let Err(error) = written {
                tracing::warn!(%error, "the step could not be written to the status");
            }
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn begin_step(&self, attempt: i32, step: Step) -> Instant {
        let now = Instant::now();
        self.context.with_spans(&self.uid, |spans| {
            spans.begin_step(attempt, step.as_str(), now);
        });
        now
    }

    /// The end of the run is also that of a step that was interrupted.
    fn end_step<T>(&self, step: Step, began: Instant, outcome: &StepResult<T>) {
        let failed = match outcome {
            StepResult::Done(_) => false,
            StepResult::Failed(_) => true,
            StepResult::Interrupted => return,
        };
        let now = Instant::now();
        self.context
            .with_spans(&self.uid, |spans| spans.end_step(failed, now));
        self.step_measured(step, failed, began);
    }

    fn clients_and_fence(&self) -> Option<(Arc<ConnectionClients>, i64)> {
        let fence = self.context.read_state(&self.uid, |state| state.fence)?;
        Some((self.clients()?, fence))
    }

    /// The cached object is newer than this copy: the next reconcile starts from it.
    fn interrupted(&mut self) -> Result<Next, ReconcileError> {
        self.context.reset_attempt(&self.uid);
        if let Some(newer) = self.context.reader().get(&ObjectRef::from_obj(self.sync()))
            && newer.uid() == self.sync().uid()
        {
            let (ours, theirs) = (&mut self.record.sync, &newer);
            ours.spec = theirs.spec.clone();
            // The next status must carry the generation of the new spec.
            ours.metadata.generation = theirs.metadata.generation;
            ours.metadata
                .deletion_timestamp
                .clone_from(&theirs.metadata.deletion_timestamp);
            return Ok(Next::Continue);
        }
        Err(ReconcileError::Conflict)
    }
}

/// Rows read so far, their total, and the number of pages.
#[derive(Default)]
struct RowsRead(AtomicU64, AtomicU64, AtomicU64);

impl RowsRead {
    /// After a page.
    fn set(&self, current: u64, total: u64) {
        self.0.store(current, Ordering::Relaxed);
        self.1.store(total, Ordering::Relaxed);
        self.2.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.0.load(Ordering::Relaxed), self.1.load(Ordering::Relaxed))
    }

    fn pages(&self) -> u64 {
        self.2.load(Ordering::Relaxed)
    }
}

/// Records how far the listing is read, and the pauses that the API asked for. Returns the spans of the run.
fn record_reading(
    context: &SyncContext,
    run: &store::RunInfo,
    attempt: i32,
    clients: &ConnectionClients,
    rows_read: &RowsRead,
) -> Vec<Span> {
    let (pages, pauses) = (rows_read.pages(), clients.tarana.pauses());
    context.with_spans(&run.id.to_string(), |spans| {
        spans.read(attempt, pages, &pauses, Instant::now());
        spans.spans()
    })
}

/// Resolves when the run is cancelled or deleted, or its deadline passes.
fn cancelled_or_expired(context: &SyncContext, sync: TaranaSync) -> impl Future<Output = ()> + use<'_> {
    let (reader, uid) = (context.reader(), sync.uid().unwrap_or_default());
    let deadline = machine::deadline(
        &sync.spec,
        &sync.status.clone().unwrap_or_default(),
        context.time_of(&uid),
    );
    async move {
        let name = ObjectRef::from_obj(&sync);
        loop {
            sleep(CANCEL_CHECK_INTERVAL).await;
            let is_active = reader.get(&name).is_some_and(|s| {
                s.uid() == sync.uid() && !s.spec.cancel && s.metadata.deletion_timestamp.is_none()
            });
            if !is_active || context.time_of(&uid) >= deadline {
                return;
            }
        }
    }
}

/// Writes progress to the object and heartbeats to the log row. Returns only when another process owns the run, or the
/// object is gone.
async fn publish_progress(
    record: &mut Record<'_>,
    clients: &ConnectionClients,
    (run, fence): (&store::RunInfo, i64),
    rows_read: &RowsRead,
    spans: impl Fn() -> Vec<Span>,
) -> Fault {
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let (mut beat, mut pages) = (0, 0);
    loop {
        ticks.tick().await;
        let (current, total) = rows_read.get();
        if std::mem::replace(&mut pages, rows_read.pages()) != rows_read.pages() {
            record.context.slots.progressed(&run.id.to_string());
        }
        let status = StatusBuilder::new(&record.sync, record.now()).progress(current, total);
        match record.set_status(status).await {
            Ok(()) => {}
            Err(ReconcileError::Conflict) => {
                return Fault::new(
                    Reason::Superseded,
                    "another process changed the status, or the object is gone",
                );
            }
            Err(error) => tracing::warn!(%error, "progress could not be written"),
        }
        beat += 1;
        if beat % HEARTBEAT_EVERY == 0 {
            let fetched = i64::try_from(current).unwrap_or(i64::MAX);
            match clients.store.heartbeat(run.id, fence, fetched, &spans()).await {
                Err(fault) if fault.reason == Reason::Superseded => return fault,
                Err(fault) => tracing::warn!(%fault, "the heartbeat could not be written"),
                Ok(()) => record.count_heartbeat(),
            }
        }
    }
}
