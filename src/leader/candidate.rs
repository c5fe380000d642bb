//! The task that acquires, renews and releases the Lease.

use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, Event};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::decide::{Observed, Step, decide};
use super::lease::{Failure, LeaseApi};
use super::validity::Tenure;

/// Duration of the lease: when a standby takes it from a leader that does not renew it.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a leader works after the start of its last successful renewal. Less than the duration, because work needs a moment to stop
/// and clocks run at slightly different speeds.
const WORK_DURATION: Duration = Duration::from_secs(13);
/// Time between the starts of two renewals, and pause after a failed request.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// How often a standby reads the Lease, because its watch may be frozen.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Timeout for releasing the Lease when the process stops.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// A candidate for leadership.
pub(super) struct Candidate {
    api: LeaseApi,
    identity: String,
    observed: Observed,
    began: Instant,
    tenure: watch::Sender<Tenure>,
    /// Why the last request failed, so that each cause is logged once.
    failing: Option<String>,
}

impl Candidate {
    pub fn new(api: LeaseApi, identity: String, tenure: watch::Sender<Tenure>) -> Self {
        Self {
            api,
            identity,
            observed: Observed::default(),
            began: Instant::now(),
            tenure,
            failing: None,
        }
    }

    /// Acquires and renews the Lease until `stop` is true or its sender is gone, and then releases it. The work must have been
    /// stopped before.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.elect() => {}
        }
        self.tenure.send_replace(Tenure::default());
        let released = timeout(RELEASE_TIMEOUT, self.api.release()).await;
        match released.unwrap_or(Err(Failure::Timeout)) {
            Ok(()) => tracing::info!("the Lease is released"),
            Err(error) => tracing::warn!(%error, "the Lease could not be released"),
        }
    }

    async fn elect(&mut self) {
        loop {
            let started = Instant::now();
            match self.step() {
                Step::Wait(_) => self.stand_by().await,
                Step::Read => {
                    if !self.read().await {
                        sleep(RENEW_INTERVAL).await;
                    }
                }
                step => {
                    self.write(step, started).await;
                    if matches!(self.step(), Step::Renew) {
                        sleep_until(started + RENEW_INTERVAL).await;
                    }
                }
            }
        }
    }

    fn step(&self) -> Step {
        let now = self.began.elapsed();
        decide(&self.observed, &self.identity, LEASE_DURATION, now)
    }

    /// Waits until the Lease is released or its holder has not renewed it in time.
    async fn stand_by(&mut self) {
        // Not while this process leads: a watch may show an older version.
        let mut events = self.api.watch();
        while let Step::Wait(left) = self.step() {
            tokio::select! {
                lease = next_version(&mut events) => self.record(Some(lease)),
                () = sleep(left.min(POLL_INTERVAL)) => {
                    self.read().await;
                }
            }
        }
    }

    /// Reads the Lease. Returns whether this succeeded.
    async fn read(&mut self) -> bool {
        let result = self.api.read().await;
        self.log(result.as_ref().err());
        let Ok(lease) = result else {
            return false;
        };
        self.record(lease);
        true
    }

    async fn write(&mut self, step: Step, started: Instant) {
        let result = self.api.write(step, &self.observed).await;
        self.log(result.as_ref().err());
        match result {
            Ok(lease) => {
                // A holder that could not release it has died, even if it had the name of this process.
                let was_handed_over = self.observed.holder().is_none();
                self.record(Some(lease));
                self.tenure.send_modify(|tenure| {
                    if !tenure.is_valid_now() {
                        tenure.was_handed_over = was_handed_over;
                    }
                    tenure.valid_until = Some(started + WORK_DURATION);
                });
            }
            Err(Failure::Conflict) => {
                // If another process was faster, this one stops at once.
                let is_read = self.read().await;
                if !is_read || self.step() == step {
                    sleep_until(started + RENEW_INTERVAL).await;
                }
            }
            Err(_) => sleep_until(started + RENEW_INTERVAL).await,
        }
    }

    fn record(&mut self, lease: Option<Lease>) {
        self.observed.record(lease, self.began.elapsed());
        let is_other = self
            .observed
            .holder()
            .is_some_and(|holder| holder != self.identity);
        if is_other {
            self.tenure
                .send_if_modified(|tenure| tenure.valid_until.take().is_some());
        }
    }

    fn log(&mut self, failure: Option<&Failure>) {
        match failure.filter(|failure| !matches!(failure, Failure::Conflict)) {
            Some(error) => {
                let error = error.to_string();
                if self.failing.as_ref() != Some(&error) {
                    tracing::warn!(error, "the Lease cannot be read or written, retrying");
                }
                self.failing = Some(error);
            }
            None => {
                if self.failing.take().is_some() {
                    tracing::info!("the Lease can be read and written again");
                }
            }
        }
    }
}

/// The next version of the Lease that the watch shows. A deletion is noticed when the Lease is read.
async fn next_version(
    events: &mut (impl Stream<Item = Result<Event<Lease>, watcher::Error>> + Unpin),
) -> Lease {
    loop {
        match events.next().await {
            Some(Ok(Event::Apply(lease) | Event::InitApply(lease))) => return lease,
            Some(Ok(_)) => {}
            // Reading the Lease, which is done in any case, reports the cause.
            Some(Err(_)) => sleep(RENEW_INTERVAL).await,
            None => std::future::pending().await,
        }
    }
}
