//! Waits until no operator leads any more.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::time::sleep;

use super::error::{Error, failed};

/// Pause between two looks at the Lease.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a Lease is valid that does not say so.
const DEFAULT_DURATION: Duration = Duration::from_secs(15);

/// Waits until the Lease is released, or was not renewed for its duration as measured here: the clock of its holder may be another one.
pub(super) async fn wait_until_stopped(
    client: &Client,
    (namespace, name): (&str, &str),
    patience: Duration,
) -> Result<(), Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let began = Instant::now();
    let mut seen: Option<(Option<String>, Instant)> = None;
    loop {
        let lease = leases.get_opt(name).await;
        let lease = lease.map_err(failed(&format!("Lease {namespace}/{name} could not be read")))?;
        let Some(lease) = lease else { return Ok(()) };
        let spec = lease.spec.unwrap_or_default();
        let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
            return Ok(());
        };
        let duration = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let duration = duration.map_or(DEFAULT_DURATION, Duration::from_secs);
        let version = lease.metadata.resource_version;
        match &seen {
            Some((known, since)) if *known == version => {
                if since.elapsed() > duration {
                    tracing::info!(%holder, "the Lease is not renewed any more");
                    return Ok(());
                }
            }
            _ => {
                if seen.is_some() && began.elapsed() > patience {
                    return Err(Error::StillRuns {
                        holder,
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    });
                }
                tracing::info!(%holder, "waiting until the operator has stopped");
                seen = Some((version, Instant::now()));
            }
        }
        sleep(INTERVAL).await;
    }
}
