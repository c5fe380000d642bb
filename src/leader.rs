//! One of several replicas works: a Lease decides which.
//!
//! A leader that cannot reach the API server cannot know that its Lease is over, and goes on with what it has begun until
//! it is told. Two may so be at work for a while: the fence of the log row lets one of them commit, the `resourceVersion` of
//! the object lets one of them say so (`tests/it/two_operators.rs`).

use std::future::Future;
use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::time::timeout;

/// Seconds that a Lease is good for, and seconds before its end at which it is renewed.
const DURATION: u64 = 15;
const GRACE: u64 = 5;
/// How long a process that stops waits until its Lease is free for the next.
const RELEASE: Duration = Duration::from_secs(2);

/// Which Lease, and who asks.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Name of this process, unique among the replicas.
    pub identity: String,
}

/// Runs `work` while this process leads. Work is dropped the moment that leadership is lost, and starts anew when it
/// is won again. Ends when `work` does, and frees the Lease. The death of the election ends it with an error: a process
/// that cannot tell whether it leads must not go on.
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
    tracing::info!(%namespace, %lease, %identity, "waiting to lead");
    let manager = LeaseManagerBuilder::new(client, lease)
        .with_namespace(namespace)
        .with_identity(identity)
        .with_duration(DURATION)
        .with_grace(GRACE)
        .build()
        .await?;
    let (mut leads, mut election) = manager.watch().await;
    loop {
        tokio::select! {
            told = becomes(&mut leads, true) => if !told { return died(election.await) },
            end = &mut election => return died(end),
        }
        tracing::info!("leads");
        let outcome = tokio::select! {
            outcome = work() => outcome,
            told = becomes(&mut leads, false) => {
                if !told {
                    return died(election.await);
                }
                tracing::warn!("no longer leads: all work was dropped");
                continue;
            }
            end = &mut election => return died(end),
        };
        drop(leads);
        let _ = timeout(RELEASE, election).await;
        return Ok(outcome);
    }
}

/// Waits until leadership is won or lost. False when nobody will ever tell.
async fn becomes(leads: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    leads.wait_for(|leads| *leads == wanted).await.is_ok()
}

fn died<T, M>(
    end: Result<Result<M, LeaseManagerError>, tokio::task::JoinError>,
) -> Result<T, LeaseManagerError> {
    match end {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Err(LeaseManagerError::InconsistentState(
            "the election ended".to_owned(),
        )),
    }
}
