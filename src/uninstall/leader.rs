//! Waits until no operator leads any more.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::time::sleep;

use super::error::{Error, failed};
use crate::leader::{LEASE_DURATION, Observed};

/// Pause between two looks at the Lease.
const INTERVAL: Duration = Duration::from_secs(1);

/// Waits until the Lease is released, or was not renewed for its duration as measured here: the clock of its holder may be another one.
pub(super) async fn wait_until_stopped(
    client: &Client,
    (namespace, name): (&str, &str),
    patience: Duration,
) -> Result<(), Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let began = Instant::now();
    let mut observed = Observed::default();
    loop {
        let lease = leases.get_opt(name).await;
        let lease = lease.map_err(failed(&format!("Lease {namespace}/{name} could not be read")))?;
        let before = observed.since;
        observed.record(lease, began.elapsed());
        let Some(holder) = observed.holder() else {
            return Ok(());
        };
        if observed.left(LEASE_DURATION, began.elapsed()).is_zero() {
            tracing::info!(%holder, "the Lease is not renewed any more");
            return Ok(());
        }
        if observed.since != before {
            if before.is_some() && began.elapsed() > patience {
                return Err(Error::StillRuns {
                    holder: holder.to_owned(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                });
            }
            tracing::info!(%holder, "waiting until the operator has stopped");
        }
        sleep(INTERVAL).await;
    }
}
