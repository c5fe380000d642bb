//! Leader election by a Lease: one of several replicas works.
//!
//! A leader that cannot reach the API server does not notice that its Lease has expired, so two replicas may work for a
//! while. The fence of the log row lets only one of them commit, and the `resourceVersion` of the object lets only one of
//! them write the status (`tests/it/two_operators.rs`).

use std::future::Future;
use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::time::timeout;

/// Lease duration in seconds, and how many seconds before its end it is renewed.
const LEASE_SECONDS: u64 = 15;
const RENEW_BEFORE_SECONDS: u64 = 5;
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
