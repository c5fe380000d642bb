//! The ways to the Kubernetes API: calls, which are answered soon or given up, and watches, which may be silent; and what the
//! controllers have in common when they write.
//!
//! Without this a call could hang for ever: kube sets no time-out for an answer, since it would end watches too. What is
//! measured is silence: an answer may take longer as long as some of it keeps coming.

use std::time::Duration;

use kube::api::{DeleteParams, Preconditions};
use kube::client::ClientBuilder;
use kube::runtime::watcher;
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tower::limit::ConcurrencyLimitLayer;

mod scope;
mod watched;

pub use scope::Scope;
pub use watched::{Change, Kind, Watched};

/// Calls at once. A thousand schedules of the same minute would each have a connection of its own, with its buffers, and the API
/// server would be no sooner done.
const CALLS: usize = 16;
/// How long the API server keeps a watch open. It is asked for a new one then, which costs one request.
const WATCH: Duration = Duration::from_mins(1);

/// Clients of one API server.
#[derive(Clone)]
pub struct Cluster {
    /// For what is asked and written, so many at once.
    pub calls: Client,
    /// For what people ask for, so that they need not queue behind the controllers; as many at once.
    pub requests: Client,
    /// For the Lease, which must not queue behind the rest.
    pub lease: Client,
    /// For [`watcher()`], which goes on by itself after whatever ended a watch.
    pub watches: Client,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects to nothing yet. A call fails after `patience` of silence, a watch after a minute more.
    ///
    /// # Errors
    /// What the kubeconfig names cannot be read, or is of no use.
    pub fn new(mut config: Config, patience: Duration) -> Result<Self, kube::Error> {
        config.connect_timeout = Some(patience);
        config.write_timeout = Some(patience);
        // Silence before a request does not count: connections wait for their next one.
        config.reset_reader_on_write = true;
        let of = |silence| {
            let mut config = config.clone();
            config.read_timeout = Some(silence);
            ClientBuilder::try_from(config)
        };
        let few = || ConcurrencyLimitLayer::new(CALLS);
        Ok(Self {
            calls: of(patience)?.with_layer(&few()).build(),
            requests: of(patience)?.with_layer(&few()).build(),
            lease: of(patience)?.build(),
            watches: of(WATCH + patience)?.build(),
        })
    }
}

/// How this operator watches.
pub fn watching() -> watcher::Config {
    watcher::Config::default().timeout(u32::try_from(WATCH.as_secs()).unwrap_or(60))
}

/// Why a turn of a controller could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or could not be reached.
    #[error("{0}")]
    Kubernetes(#[from] kube::Error),
    /// Somebody else wrote the object, or it is gone: look again.
    #[error("the object was changed by somebody else")]
    Overtaken,
}

/// Deletes an object, and no other of the same name. One that is gone is fine.
pub async fn delete<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let only = Preconditions {
        uid: object.uid(),
        resource_version: None,
    };
    let params = DeleteParams::default().preconditions(only);
    gone_is_fine(api.delete(&object.name_any(), &params).await)
}

/// 404: it is gone; 409: it is another one.
pub fn gone_is_fine<T>(outcome: Result<T, kube::Error>) -> Result<(), Error> {
    match outcome {
        Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Kubernetes promises since 1.35 that versions of one kind compare as numbers; where they do not, nothing is lost
/// but a turn that is refused by its conflict.
pub fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}
