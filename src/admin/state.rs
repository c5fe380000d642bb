//! The state that every request handler shares.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use super::auth::Authorizer;
use super::live::Streams;
use super::objects::Objects;
use super::pools::StorePools;
use super::rate_limit::RunRateLimiter;
use crate::cluster::Scope;

/// The axum state of the admin API.
#[derive(Debug)]
pub struct AdminState {
    /// Authenticates and authorizes callers.
    pub authorizer: Arc<Authorizer>,
    /// The watch caches, and writes through the Kubernetes API.
    pub objects: Arc<Objects>,
    /// The databases of the connections.
    pub pools: StorePools,
    /// The streams of live updates.
    pub streams: Arc<Streams>,
    /// Limits how often a caller creates runs.
    pub rate_limiter: RunRateLimiter,
    /// Values for requests that name no namespace or connection.
    pub defaults: Defaults,
}

/// [`AdminState`] as axum clones it for each request.
pub type SharedState = Arc<AdminState>;

/// Namespace and connection of requests that name none.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Namespace.
    pub namespace: String,
    /// Name of a connection in that namespace.
    pub connection: String,
}

impl AdminState {
    /// State over the watch caches of this process. `stopping` becomes true when the process shuts down.
    pub fn new(
        client: &Client,
        scopes: Arc<Vec<Scope>>,
        authorizer: Authorizer,
        defaults: Defaults,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            authorizer: Arc::new(authorizer),
            objects: Arc::new(Objects::new(client.clone(), scopes)),
            pools: StorePools::new(client.clone()),
            streams: Arc::new(Streams::new(stopping)),
            rate_limiter: RunRateLimiter::new(),
            defaults,
        }
    }
}
