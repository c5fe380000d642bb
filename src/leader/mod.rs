//! Leader election by a Lease: one of several replicas works.
//!
//! A leader stops by its own clock when it has not renewed its Lease in time, whatever the API server answers, and before another
//! replica may take the Lease. So two replicas work at the same time only if a machine was suspended. Then the fence of the log row lets
//! only one of them commit, and the `resourceVersion` of the object lets only one of them write the status
//! (`tests/it/two_operators.rs`).

mod candidate;
mod decide;
mod lease;
mod validity;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::interval;

use self::candidate::Candidate;
pub use self::candidate::LEASE_DURATION;
pub use self::decide::Observed;
use self::lease::LeaseApi;
pub use self::lease::{Access, Election};
use self::validity::Tenure;
pub use self::validity::Validity;

/// Interval of the leader's signs of life.
const LEADER_BEAT: Duration = Duration::from_secs(2);

/// The election ended although the process did not stop. A process that does not know whether it leads must not work.
#[derive(Debug, thiserror::Error)]
#[error("the election ended unexpectedly")]
pub struct ElectionEnded;

/// Whether this process leads, and whether it is alive while it does. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Leadership(Arc<Mutex<Option<Instant>>>);

impl Leadership {
    /// Gives signs of life until it is dropped: only while it is polled, so that a task that is stuck gives none.
    pub async fn hold(&self) {
        let _release = Release(self);
        let mut beats = interval(LEADER_BEAT);
        loop {
            beats.tick().await;
            *self.lock() = Some(Instant::now());
        }
    }

    /// Time since the last sign of life; `None` if this process does not lead.
    pub fn silence(&self) -> Option<Duration> {
        self.lock().map(|beat| beat.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // No code panics while it holds the lock, so the value behind a poisoned lock is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a leadership when it is dropped.
struct Release<'a>(&'a Leadership);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// Runs `work` while this process leads. `work` is dropped as soon as leadership is lost, and restarted when it is acquired
/// again. Returns when `work` returns, and releases the Lease.
///
/// # Errors
/// The election ended.
pub async fn lead<F, Fut, T>(access: Access, election: Election, work: F) -> Result<T, ElectionEnded>
where
    F: Fn(Validity) -> Fut,
    Fut: Future<Output = T>,
{
    let Election {
        namespace,
        lease,
        identity,
    } = &election;
    tracing::info!(namespace, lease, identity, "waiting for leadership");
    let (tenure, validity) = watch::channel(Tenure::default());
    let validity = Validity::until(validity);
    let api = LeaseApi::new(access, &election, LEASE_DURATION);
    let candidate = Candidate::new(api, identity.clone(), tenure);
    let (stop, stopped) = watch::channel(false);
    // A task of its own: work that computes for long must not delay the renewal.
    let mut task = JoinSet::new();
    task.spawn(candidate.run(stopped));
    loop {
        tokio::select! {
            () = validity.valid() => {}
            _ = task.join_next() => return Err(ElectionEnded),
        }
        tracing::info!("leading");
        let outcome = tokio::select! {
            outcome = validity.run_while_valid(work(validity.clone())) => outcome,
            _ = task.join_next() => return Err(ElectionEnded),
        };
        let Some(outcome) = outcome else {
            tracing::warn!("leadership lost: all work was stopped");
            continue;
        };
        // The work is dropped. The release is bounded.
        let _ = stop.send(true);
        task.join_next().await;
        return Ok(outcome);
    }
}
