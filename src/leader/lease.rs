//! Reads and writes the Lease. Each write carries the `resourceVersion` that was observed, so that only one of two candidates succeeds.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use super::decide::{Observed, Step};

/// Timeout of each request, well below the time between the end of a renewal and that of the lease.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

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

/// How the election accesses the API server.
pub struct Access {
    /// Client for requests, which must not queue behind others.
    pub requests: Client,
    /// Client for watches, which may be silent.
    pub watches: Client,
    /// Configuration of watches.
    pub watch_config: watcher::Config,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another writer was faster, or the Lease is gone: read it.
    #[error("the Lease was changed by another writer")]
    Conflict,
    #[error("no response of the API server in {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Kubernetes(kube::Error),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            error => Self::Kubernetes(error),
        }
    }
}

/// The Lease in the API server.
pub(super) struct LeaseApi {
    requests: Api<Lease>,
    watches: Api<Lease>,
    watch_config: watcher::Config,
    name: String,
    identity: String,
    duration: Duration,
}

impl LeaseApi {
    pub fn new(access: Access, election: &Election, duration: Duration) -> Self {
        let Election {
            namespace,
            lease,
            identity,
        } = election.clone();
        Self {
            requests: Api::namespaced(access.requests, &namespace),
            watches: Api::namespaced(access.watches, &namespace),
            watch_config: access.watch_config.fields(&format!("metadata.name={lease}")),
            name: lease,
            identity,
            duration,
        }
    }

    /// Watches the Lease.
    pub fn watch(&self) -> BoxStream<'static, Result<Event<Lease>, watcher::Error>> {
        watcher(self.watches.clone(), self.watch_config.clone()).boxed()
    }

    pub async fn read(&self) -> Result<Option<Lease>, Failure> {
        bounded(self.requests.get_opt(&self.name)).await
    }

    /// Creates, acquires or renews the Lease, based on what was observed.
    pub async fn write(&self, step: Step, observed: &Observed) -> Result<Lease, Failure> {
        let now = MicroTime(now());
        let mut spec = observed.spec.clone();
        if step != Step::Renew {
            // As client-go counts: the first holder is no transition.
            spec.lease_transitions = Some(match step {
                Step::Create => 0,
                _ => spec.lease_transitions.unwrap_or_default().saturating_add(1),
            });
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
        spec.renew_time = Some(now);
        if step == Step::Create {
            return self.create(spec).await;
        }
        self.patch(observed.version.as_deref(), &spec).await
    }

    /// Releases the Lease, if this process holds it.
    pub async fn release(&self) -> Result<(), Failure> {
        loop {
            let mut observed = Observed::default();
            let Some(lease) = self.read().await? else {
                return Ok(());
            };
            observed.version = lease.metadata.resource_version;
            observed.spec = lease.spec.unwrap_or_default();
            if observed.holder() != Some(&self.identity) {
                return Ok(());
            }
            let now = MicroTime(now());
            let spec = LeaseSpec {
                holder_identity: None,
                lease_duration_seconds: Some(1),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                ..observed.spec
            };
            match self.patch(observed.version.as_deref(), &spec).await {
                // A renewal that was sent before arrived late.
                Err(Failure::Conflict) => {}
                result => return result.map(drop),
            }
        }
    }

    async fn create(&self, spec: LeaseSpec) -> Result<Lease, Failure> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        };
        bounded(self.requests.create(&PostParams::default(), &lease)).await
    }

    async fn patch(&self, version: Option<&str>, spec: &LeaseSpec) -> Result<Lease, Failure> {
        let patch = json!({
            "metadata": {"resourceVersion": version},
            "spec": {
                // Absent fields are kept, so nobody is named explicitly.
                "holderIdentity": spec.holder_identity,
                "leaseDurationSeconds": spec.lease_duration_seconds,
                "leaseTransitions": spec.lease_transitions,
                "acquireTime": spec.acquire_time,
                "renewTime": spec.renew_time,
            },
        });
        let params = PatchParams::default();
        match bounded(self.requests.patch(&self.name, &params, &Patch::Merge(&patch))).await {
            Err(Failure::Kubernetes(kube::Error::Api(status))) if status.code == 404 => {
                Err(Failure::Conflict)
            }
            result => result,
        }
    }
}

async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    let response = timeout(REQUEST_TIMEOUT, request).await;
    Ok(response.map_err(|_| Failure::Timeout)??)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the times in the Lease are for people, no decision depends on them"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
