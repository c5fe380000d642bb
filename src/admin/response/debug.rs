//! The inner state of a process, for whoever looks for the cause of a problem. It has no secrets.

use std::time::Duration;

use serde::Serialize;

use crate::admin::process::Process;
use crate::cluster::{Kind, Scope, WatchCache};
use crate::connection::{ConnectionClients, Key};
use crate::store::Store;
use crate::tarana::SessionState;

/// The state of the process that answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugState {
    identity: String,
    version: &'static str,
    uptime_seconds: u64,
    lease: Option<LeaseState>,
    leads: bool,
    /// Time since the controllers gave a sign of life; absent unless it leads.
    leader_silence_seconds: Option<f64>,
    watches: Vec<WatchState>,
    /// By path, the time since the watch sent a request. It does so every 25 s.
    watch_requests: Vec<WatchRequest>,
    outdated_definitions: Vec<String>,
    /// The connections with unfinished runs.
    queues: Vec<QueueState>,
    /// Sessions with vendors and pools of the controllers, while it leads.
    connections: Vec<ConnectionState>,
    /// Pools of the admin API.
    pools: Vec<PoolState>,
}

#[derive(Debug, Serialize)]
struct LeaseState {
    namespace: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct WatchState {
    resource: String,
    /// Absent for all namespaces.
    namespace: Option<String>,
    synced: bool,
    objects: usize,
    /// Objects that cannot be decoded.
    invalid: usize,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WatchRequest {
    path: String,
    silence_seconds: f64,
}

#[derive(Debug, Serialize)]
struct QueueState {
    connection: String,
    /// Names of the unfinished runs, in the order in which they run.
    runs: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionState {
    connection: String,
    /// `loggedOut`, `renewing`, `loggedIn` or `paused`.
    session: &'static str,
    /// Time until the session is renewed, or until a refused login is tried again.
    session_changes_in_seconds: Option<f64>,
    /// Time for which the API asked to wait.
    throttled_for_seconds: Option<f64>,
    pool: PoolSize,
}

#[derive(Debug, Serialize)]
struct PoolState {
    connection: String,
    pool: PoolSize,
}

/// Sessions of a database pool.
#[derive(Debug, Serialize)]
struct PoolSize {
    size: u32,
    idle: usize,
}

impl DebugState {
    /// The state now. `pools` are those of the admin API.
    pub fn of(process: &Process, pools: &[(Key, Store)]) -> Self {
        let health = &process.health;
        let silence = health.leadership.silence();
        let requests = health.watch_activity.silences().into_iter();
        let clients = process.registries.all_clients();
        Self {
            identity: process.identity.clone(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: process.started.elapsed().as_secs(),
            lease: process.election.as_ref().map(|election| LeaseState {
                namespace: election.namespace.clone(),
                name: election.lease.clone(),
            }),
            leads: silence.is_some(),
            leader_silence_seconds: silence.map(seconds),
            watches: health.scopes.iter().flat_map(watches).collect(),
            watch_requests: requests
                .map(|(path, silence)| WatchRequest {
                    path,
                    silence_seconds: seconds(silence),
                })
                .collect(),
            outdated_definitions: health
                .served_schemas
                .outdated()
                .iter()
                .map(ToString::to_string)
                .collect(),
            queues: health.scopes.iter().flat_map(queues).collect(),
            connections: clients
                .iter()
                .map(|(key, clients)| connection(key, clients))
                .collect(),
            pools: pools
                .iter()
                .map(|(key, store)| PoolState {
                    connection: key.to_string(),
                    pool: pool_size(store),
                })
                .collect(),
        }
    }
}

fn watches(scope: &Scope) -> [WatchState; 4] {
    let namespace = scope.namespace.as_deref();
    [
        watch("taranaconnections", &scope.connections, namespace),
        watch("taranasyncs", &scope.syncs, namespace),
        watch("taranasyncschedules", &scope.schedules, namespace),
        watch("secrets", &scope.secrets, namespace),
    ]
}

fn watch<K: Kind>(resource: &str, cache: &WatchCache<K>, namespace: Option<&str>) -> WatchState {
    WatchState {
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        synced: cache.is_synced(),
        objects: cache.reader().len(),
        invalid: cache.invalid().borrow().len(),
        problem: cache.problem(),
    }
}

fn queues(scope: &Scope) -> Vec<QueueState> {
    let syncs = scope.syncs.reader().state();
    let mut unfinished: Vec<_> = syncs.iter().filter(|sync| !sync.is_final()).collect();
    unfinished.sort_by_cached_key(|sync| (Key::of_run(sync), sync.queue_position()));
    unfinished
        .chunk_by(|a, b| Key::of_run(a) == Key::of_run(b))
        .map(|runs| QueueState {
            connection: Key::of_run(runs[0]).to_string(),
            runs: runs.iter().filter_map(|run| run.metadata.name.clone()).collect(),
        })
        .collect()
}

fn connection(key: &Key, clients: &ConnectionClients) -> ConnectionState {
    let (session, changes_in) = match clients.tarana.session_state() {
        SessionState::LoggedOut => ("loggedOut", None),
        SessionState::Renewing => ("renewing", None),
        SessionState::LoggedIn { renewed_in } => ("loggedIn", Some(renewed_in)),
        SessionState::Paused { ends_in } => ("paused", Some(ends_in)),
    };
    let throttled = clients.tarana.throttled_until();
    ConnectionState {
        connection: key.to_string(),
        session,
        session_changes_in_seconds: changes_in.map(seconds),
        throttled_for_seconds: throttled
            .map(|until| seconds(until.saturating_duration_since(std::time::Instant::now()))),
        pool: pool_size(&clients.store),
    }
}

fn pool_size(store: &Store) -> PoolSize {
    let (size, idle) = store.pool_size();
    PoolSize { size, idle }
}

/// In milliseconds, as seconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
