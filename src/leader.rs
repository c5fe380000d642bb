//! Leader election by a Lease: one of several replicas works.
//!
//! A leader that cannot reach the API server does not notice that its Lease has expired, so two replicas may work for a
//! while. The fence of the log row lets only one of them commit, and the `resourceVersion` of the object lets only one of
//! them write the status (`tests/it/two_operators.rs`).

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

/// Lease duration in seconds, and how many seconds before its end it is renewed.
const LEASE_SECONDS: u64 = 15;
const RENEW_BEFORE_SECONDS: u64 = 5;
/// Interval of the leader's signs of life.
const LEADER_BEAT: Duration = Duration::from_secs(2);
/// Timeout for releasing the Lease when the process stops.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The Lease and the candidate.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Identity of this process, unique among the replicas.
    pub identity: String,
}

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
/// again. Returns when `work` returns, and releases the Lease. Fails if the election task ends, because a process that does
/// not know whether it leads must not work.
pub async fn lead<F, Fut, T>(client: Client, election: Election, work: F) -> Result<T, LeaseManagerError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = T>,
{
    let Election {
        namespace,
        lease,
        identity,
    } = election;
    tracing::info!(%namespace, %lease, %identity, "waiting for leadership");
    let manager = LeaseManagerBuilder::new(client, lease)
        .with_namespace(namespace)
        .with_identity(identity)
        .with_duration(LEASE_SECONDS)
        .with_grace(RENEW_BEFORE_SECONDS)
        .build()
        .await?;
    let (mut leads, mut election) = manager.watch().await;
    loop {
        tokio::select! {
            changed = wait_for(&mut leads, true) => if !changed { return election_ended(election.await) },
            end = &mut election => return election_ended(end),
        }
        tracing::info!("leading");
        let outcome = tokio::select! {
            outcome = work() => outcome,
            changed = wait_for(&mut leads, false) => {
                if !changed {
                    return election_ended(election.await);
                }
                tracing::warn!("leadership lost: all work was stopped");
                continue;
            }
            end = &mut election => return election_ended(end),
        };
        drop(leads);
        let _ = timeout(RELEASE_TIMEOUT, election).await;
        return Ok(outcome);
    }
}

/// Waits until leadership is acquired or lost. False if the election task has ended.
async fn wait_for(leads: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    leads.wait_for(|leads| *leads == wanted).await.is_ok()
}

fn election_ended<T, M>(
    end: Result<Result<M, LeaseManagerError>, tokio::task::JoinError>,
) -> Result<T, LeaseManagerError> {
    match end {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Err(LeaseManagerError::InconsistentState(
            "the election ended".to_owned(),
        )),
    }
}
