//! The state that every request handler shares.

use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};
use tokio::sync::watch;

use super::actions::Actions;
use super::auth::{self, AdminUsers, Authorizer, Caller, Permission, Sessions, Supabase};
use super::config::Config;
use super::defaults::Defaults;
use super::live::Streams;
use super::map_tiles::MapTiles;
use super::objects::Objects;
use super::pools::StorePools;
use super::problem::Problem;
use super::process::Process;
use super::public_url::PublicUrl;
use super::rate_limit::CallerRateLimiter;
use crate::api::connection::TaranaConnection;
use crate::webhook::AddressPolicy;

/// Runs that a caller may create per minute.
const RUNS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// Sign-ins per minute from one address, which may be that of a proxy.
const SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Test events per minute that a caller may send.
const TEST_EVENTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// The axum state of the admin API.
#[derive(Debug)]
pub struct AdminState {
    /// Authenticates and authorizes callers.
    pub authorizer: Arc<Authorizer>,
    /// The watch caches, and writes through the Kubernetes API.
    pub objects: Arc<Objects>,
    /// The process that serves this API.
    pub process: Process,
    /// The databases of the connections.
    pub pools: Arc<StorePools>,
    /// The streams of live updates.
    pub streams: Arc<Streams>,
    /// Publishes what callers do.
    pub actions: Actions,
    /// Limits how often a caller creates runs.
    pub rate_limiter: CallerRateLimiter,
    /// Limits how often somebody at an address signs in.
    pub sign_in_limiter: CallerRateLimiter,
    /// Limits how often a caller sends test events.
    pub sink_test_limiter: CallerRateLimiter,
    /// Which addresses the event sinks may have.
    pub sink_addresses: AddressPolicy,
    /// Values for requests that name no namespace or connection.
    pub defaults: Defaults,
    /// Base of all links.
    pub public_url: PublicUrl,
    /// The tile server behind the map.
    pub map_tiles: Option<MapTiles>,
}

/// [`AdminState`] as axum clones it for each request.
pub type SharedState = Arc<AdminState>;

impl AdminState {
    /// State over the watch caches of this process. `stopping` becomes true when the process shuts down.
    ///
    /// # Errors
    /// The TLS of the client for Supabase cannot be set up.
    pub fn new(
        client: &Client,
        process: Process,
        config: Config,
        actions: Actions,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, auth::ClientError> {
        let Config { auth, defaults, .. } = config;
        let objects = Arc::new(Objects::new(client.clone(), Arc::clone(&process.health.scopes)));
        let pools = Arc::new(StorePools::new(client.clone(), process.pools.clone()));
        let users = || AdminUsers::new(Arc::clone(&objects), Arc::clone(&pools), defaults.clone());
        let supabase = auth
            .supabase
            .map(|config| Supabase::new(config, users(), &defaults.namespace))
            .transpose()?;
        let sessions = auth.sessions.map(|config| Sessions::new(config, client.clone()));
        let authorizer = Authorizer::new(client.clone(), auth.kubernetes, supabase, sessions);
        Ok(Self {
            authorizer: Arc::new(authorizer),
            objects,
            process,
            pools,
            streams: Arc::new(Streams::new(stopping)),
            actions,
            rate_limiter: CallerRateLimiter::new(RUNS_PER_MINUTE),
            sign_in_limiter: CallerRateLimiter::new(SIGN_INS_PER_MINUTE),
            sink_test_limiter: CallerRateLimiter::new(TEST_EVENTS_PER_MINUTE),
            sink_addresses: config.sink_addresses,
            defaults,
            public_url: config.public_url,
            map_tiles: config.map_tiles,
        })
    }

    /// A reference to a connection, if it exists: what concerns a run that was not created is published as its Event.
    pub fn connection_reference(&self, namespace: &str, name: &str) -> Option<ObjectReference> {
        let connection = self.objects.get::<TaranaConnection>(namespace, name)?;
        Some(connection.object_ref(&()))
    }

    /// Rejects a caller without the permission. If it is for a change, the denial is published as an Event of `object`.
    pub async fn authorize(
        &self,
        caller: &Arc<Caller>,
        permission: &Permission,
        object: impl FnOnce() -> Option<ObjectReference>,
    ) -> Result<(), Problem> {
        let result = self.authorizer.authorize(caller, permission).await;
        if let Err(Problem::Forbidden(message)) = &result
            && permission.is_change()
        {
            self.actions.denied(caller, message, object());
        }
        result
    }
}
