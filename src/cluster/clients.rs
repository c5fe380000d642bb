//! Clients of the Kubernetes API with timeouts: for requests, which are answered soon, and for watches, which may be silent.
//!
//! kube sets no response timeout, because it would end watches too, so a request could hang forever. The timeout applies to
//! silence: a response may take longer as long as data keeps arriving. It applies to idle connections too, so connections that were cut
//! silently leave the pool by themselves, and cost a request one timeout at most (`tests/it/leadership/frozen_connections.rs`).

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::client::ClientBuilder;
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use tokio::time::sleep;
use tower::limit::ConcurrencyLimitLayer;
use uuid::Uuid;

use super::measured::{MeasureLayer, WatchActivity};
use super::served_schemas::ServedSchemas;
use crate::metrics::KubernetesMetrics;

/// Objects of one page of a listing: a page is in memory as a whole.
const PAGE_SIZE: u32 = 100;

/// Maximum number of concurrent requests. A thousand schedules that are due in the same minute would otherwise open a
/// connection each, without being faster.
const MAX_CONCURRENT_REQUESTS: usize = 16;
/// Timeout for connecting, which includes the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the API server keeps a watch open. Then it is renewed, which costs one request.
const WATCH_DURATION: Duration = Duration::from_secs(25);
/// How long a watch may be silent before it is restarted. The API server ends it earlier; a frozen connection does not end.
pub(super) const WATCH_SILENCE: Duration = Duration::from_secs(30);

/// How long a request for the Lease may be silent. Several of them must fit into the duration of the lease.
const LEASE_SILENCE: Duration = Duration::from_secs(3);

/// When a failed request for the cluster's uid is repeated.
const UID_RETRY: Duration = Duration::from_secs(2);

/// Clients of one API server.
#[derive(Clone)]
pub struct Cluster {
    /// For the controllers, with limited concurrency.
    pub controllers: Client,
    /// For the admin API, so that users do not queue behind the controllers; with limited concurrency.
    pub admin: Client,
    /// For the Lease, which must not queue behind other requests.
    pub lease: Client,
    /// For [`watcher()`], which restarts a watch that has ended.
    pub watches: Client,
    /// When the watches last sent a request.
    pub watch_activity: WatchActivity,
    /// Whether the custom resource definitions are current.
    pub served_schemas: ServedSchemas,
    /// Counts requests and failures of watches.
    pub metrics: KubernetesMetrics,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Does not connect yet. A request fails after `timeout` of silence, a watch after half a minute. `metrics` counts them.
    ///
    /// # Errors
    /// A file that the kubeconfig names cannot be read or is invalid.
    pub fn new(
        mut config: Config,
        timeout: Duration,
        metrics: KubernetesMetrics,
    ) -> Result<Self, kube::Error> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.write_timeout = Some(timeout);
        // An idle connection is not a silent one.
        config.reset_reader_on_write = true;
        let of = |silence| {
            let mut config = config.clone();
            config.read_timeout = Some(silence);
            ClientBuilder::try_from(config)
        };
        let lease = {
            let mut config = config.clone();
            config.connect_timeout = Some(LEASE_SILENCE);
            config.read_timeout = Some(LEASE_SILENCE.min(timeout));
            // kube repeats a request that is answered with 429, 503 or 504 for minutes. The election does so itself.
            config.default_retry = false;
            ClientBuilder::try_from(config)?
        };
        let limited = || ConcurrencyLimitLayer::new(MAX_CONCURRENT_REQUESTS);
        let watch_activity = WatchActivity::default();
        let measured = |activity| MeasureLayer {
            metrics: metrics.clone(),
            activity,
        };
        // The time in the queue of the limit does not count as that of the API server.
        let requests = || of(timeout).map(|client| client.with_layer(&measured(None)));
        let watches = of(WATCH_SILENCE)?.with_layer(&measured(Some(watch_activity.clone())));
        Ok(Self {
            controllers: requests()?.with_layer(&limited()).build(),
            admin: requests()?.with_layer(&limited()).build(),
            lease: lease.with_layer(&measured(None)).build(),
            watches: watches.build(),
            watch_activity,
            served_schemas: ServedSchemas::default(),
            metrics,
        })
    }

    /// Identifies the cluster: `metadata.uid` of its namespace kube-system, as in OpenTelemetry's `k8s.cluster.uid`. `None` if
    /// it may not be read. Other failures are retried.
    pub async fn uid(&self) -> Option<Uuid> {
        let namespaces: Api<Namespace> = Api::all(self.controllers.clone());
        loop {
            match namespaces.get_metadata("kube-system").await {
                Ok(namespace) => return namespace.metadata.uid?.parse().ok(),
                Err(kube::Error::Api(status)) if [403, 404].contains(&status.code) => {
                    let error = &status.message;
                    tracing::warn!(
                        error,
                        "the uid of namespace kube-system cannot be read: log rows of deleted connections will not be swept"
                    );
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "the uid of namespace kube-system cannot be read yet, retrying");
                    sleep(UID_RETRY).await;
                }
            }
        }
    }
}

/// The configuration of all watches.
pub fn watch_config() -> watcher::Config {
    watcher::Config::default()
        .timeout(u32::try_from(WATCH_DURATION.as_secs()).unwrap_or(25))
        .page_size(PAGE_SIZE)
}
