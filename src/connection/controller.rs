//! The controller of `TaranaConnection`: probes each connection when it or one of its Secrets changes, when a run requests it
//! and every ten minutes, writes the result to its status, and opens or blocks the gate of its runs.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{PartialObjectMeta, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store as Reader};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use super::clients::{self, ConnectionClients};
use super::key::Key;
use super::registry::{ConnectionEntry, Connections, backoff};
use super::secrets;
use super::state::{ConnectionState, being_verified};
use super::status::{StatusUpdate, next_status, state_after};
use crate::api::connection::TaranaConnection;
use crate::fault::Fault;

/// What every reconcile needs.
pub struct ConnectionContext {
    /// Client of the Kubernetes API.
    pub client: Client,
    /// The registry of this scope.
    pub connections: Arc<Connections>,
    /// Whether the schema may be migrated.
    pub migrate: bool,
    /// Interval between probes of a connection that is ready or has a permanent fault.
    pub probe_interval: Duration,
}

/// Runs until its streams end.
pub async fn run(
    context: Arc<ConnectionContext>,
    reader: Reader<TaranaConnection>,
    objects: impl Stream<Item = Arc<TaranaConnection>> + Send + 'static,
    secrets: impl Stream<Item = Result<PartialObjectMeta<Secret>, watcher::Error>> + Send + 'static,
) {
    let (of_secret, connections) = (reader.clone(), context.connections.clone());
    let requested = context
        .connections
        .reconcile_requests()
        .map(|key| key.object_ref());
    // The runtime does not reconcile a deleted object. The cache is updated before this stream reports the deletion.
    let registry = context.connections.clone();
    let objects = objects.inspect(move |touched| registry.remove_if_deleted(&Key::of(touched)));
    Controller::for_shared_stream(objects, reader)
        .watches_stream(secrets, move |secret| {
            connections_of_secret(&of_secret, &connections, &secret)
        })
        .reconcile_on(requested)
        .run(reconcile, |_, error, _| on_error(error), context)
        .for_each(|_| ready(()))
        .await;
}

fn on_error(error: &kube::Error) -> Action {
    tracing::warn!(%error, "connection: a request to the Kubernetes API failed, retrying in 5 s");
    Action::requeue(Duration::from_secs(5))
}

/// The connections that use a Secret. Their gates are blocked until they have been probed again, so that no run fails because
/// of the old Secret.
fn connections_of_secret(
    reader: &Reader<TaranaConnection>,
    connections: &Connections,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<TaranaConnection>> {
    let name = secret.name_any();
    let uses = |c: &TaranaConnection| {
        let api = &c.spec.api;
        c.namespace() == secret.namespace()
            && (api.credentials_secret_ref.name == name
                || c.spec.database.secret_ref.name == name
                || api.ca_secret_ref.as_ref().is_some_and(|ca| ca.name == name))
    };
    reader
        .state_filter(uses)
        .iter()
        .map(|c| {
            connections.invalidate_if_secret_changed(
                &Key::of(c),
                &secrets::secret_version(
                    secret.metadata.uid.as_deref(),
                    secret.metadata.resource_version.as_deref(),
                ),
            );
            ObjectRef::from_obj(c.as_ref())
        })
        .collect()
}

/// Observes, probes if it is due, and publishes the status.
async fn reconcile(
    connection: Arc<TaranaConnection>,
    context: Arc<ConnectionContext>,
) -> Result<Action, kube::Error> {
    let key = Key::of(&connection);
    let requeue_after = match observe(&connection, &context, &key).await {
        Ok(entry) if is_fresh(&entry, &context) => remaining(&entry, &context),
        Ok(entry) => {
            publish_probe_started(&connection, &context).await?;
            probe_entry(&context, &key, entry).await
        }
        Err(fault) => record_unusable(&connection, &context, &key, &fault),
    };
    publish_status(&connection, &context, &key).await?;
    Ok(Action::requeue(requeue_after))
}

/// The entry for the object and its Secrets as they are now: the existing one, or a new one that has not been probed.
async fn observe(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    key: &Key,
) -> Result<ConnectionEntry, Fault> {
    let inputs = secrets::read_inputs(&context.client, connection).await?;
    let previous = context.connections.entry(key);
    let is_current = |e: &ConnectionEntry| {
        e.clients
            .as_ref()
            .is_some_and(|c| c.fingerprint == inputs.fingerprint)
    };
    if let Some(entry) = previous.clone().filter(is_current) {
        return Ok(entry);
    }
    let clients = Arc::new(clients::build(connection, inputs, context.migrate)?);
    Ok(ConnectionEntry {
        clients: Some(clients),
        ..new_entry(
            connection,
            previous,
            ConnectionState::Unverified(being_verified()),
        )
    })
}

fn new_entry(
    connection: &TaranaConnection,
    previous: Option<ConnectionEntry>,
    state: ConnectionState,
) -> ConnectionEntry {
    let failures = previous.as_ref().map_or(0, |e| e.failures);
    let summary = previous.as_ref().map_or_else(String::new, |e| e.summary.clone());
    ConnectionEntry {
        uid: connection.metadata.uid.clone().unwrap_or_default(),
        generation: connection.metadata.generation,
        state,
        checked: None,
        clients: None,
        failures,
        summary,
        active: previous.and_then(|e| e.active),
    }
}

/// Records a connection that cannot be probed: a Secret is missing or contains an invalid value.
fn record_unusable(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    key: &Key,
    fault: &Fault,
) -> Duration {
    let previous = context.connections.entry(key);
    let mut entry = new_entry(connection, previous, state_after(fault.clone()));
    entry.checked = Some(now());
    entry.failures = if fault.is_permanent() {
        0
    } else {
        entry.failures.saturating_add(1)
    };
    let requeue_after = retry_delay(fault, entry.failures, context);
    context.connections.insert(key, &entry);
    requeue_after
}

/// Probes the database first, so that a run that fails because of the API can still write its log row.
async fn probe_entry(context: &ConnectionContext, key: &Key, mut entry: ConnectionEntry) -> Duration {
    let Some(clients) = entry.clients.clone() else {
        return context.probe_interval;
    };
    let result = probe(&clients).await;
    entry.checked = Some(now());
    let requeue_after = match result {
        Ok(summary) => {
            tracing::info!(connection = %key, "verified: {summary}");
            entry.state = ConnectionState::Ready;
            entry.failures = 0;
            entry.summary = summary;
            context.probe_interval
        }
        Err(fault) => {
            tracing::warn!(connection = %key, reason = %fault.reason, "{}", fault.message);
            entry.failures = entry.failures.saturating_add(1);
            let requeue_after = retry_delay(&fault, entry.failures, context);
            entry.state = state_after(fault);
            requeue_after
        }
    };
    // A run may have started or ended during the probe.
    entry.active = context.connections.entry(key).and_then(|e| e.active);
    context.connections.insert(key, &entry);
    requeue_after
}

async fn probe(clients: &ConnectionClients) -> Result<String, Fault> {
    clients.verify_store().await?;
    let api = clients.tarana.verify().await?;
    let names = api
        .regions
        .iter()
        .map(|r| {
            r.name
                .as_ref()
                .map_or_else(|| r.id.to_string(), |name| format!("{name} ({})", r.id))
        })
        .collect::<Vec<_>>();
    Ok(format!(
        "operator {}, {} region(s): {}; schema {} is current",
        api.operator_id,
        names.len(),
        names.join(", "),
        clients.spec.database.schema
    ))
}

/// Shows that a first probe is in progress, since it may take as long as a server hangs.
async fn publish_probe_started(
    connection: &TaranaConnection,
    context: &ConnectionContext,
) -> Result<(), kube::Error> {
    let observed = connection.status.as_ref().and_then(|s| s.observed_generation);
    if observed == connection.metadata.generation {
        return Ok(());
    }
    let update = StatusUpdate {
        state: ConnectionState::Unverified(being_verified()),
        summary: String::new(),
        active: connection.status.as_ref().and_then(|s| s.active_sync.clone()),
        last_success: None,
        throttled_until: None,
        listing: None,
    };
    write_status(connection, context, &update).await
}

async fn publish_status(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    key: &Key,
) -> Result<(), kube::Error> {
    let Some(entry) = context.connections.entry(key) else {
        return Ok(());
    };
    let shown = connection.status.as_ref().and_then(|s| s.active_sync.as_deref());
    let update = StatusUpdate {
        state: entry.state,
        summary: entry.summary,
        active: entry.active.and_then(|active| active.name_to_show(shown)),
        last_success: last_success(key, entry.clients.as_deref()).await,
        throttled_until: entry
            .clients
            .as_ref()
            .and_then(|c| c.tarana.throttled_until())
            .and_then(wall_clock),
        listing: entry.clients.as_ref().map(|c| c.tarana.listing()),
    };
    write_status(connection, context, &update).await
}

/// The last success according to the log rows; `None` keeps the value in the status.
async fn last_success(key: &Key, clients: Option<&ConnectionClients>) -> Option<(Timestamp, i64)> {
    let clients = clients?;
    match clients.store.last_success(clients.uid).await {
        Ok(found) => found.and_then(|(seconds, count)| Some((Timestamp::from_second(seconds).ok()?, count))),
        Err(fault) => {
            tracing::warn!(connection = %key, %fault, "the last success could not be read");
            None
        }
    }
}

/// Writes the status if it differs. A conflict is an error: the reconcile is repeated.
async fn write_status(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    update: &StatusUpdate,
) -> Result<(), kube::Error> {
    let api: Api<TaranaConnection> = Api::namespaced(
        context.client.clone(),
        &connection.namespace().unwrap_or_default(),
    );
    let Some(fresh) = api.get_opt(&connection.name_any()).await? else {
        return Ok(());
    };
    if fresh.metadata.generation != connection.metadata.generation || fresh.uid() != connection.uid() {
        return Ok(());
    }
    let status = next_status(&fresh, update, now());
    if fresh.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let updated = TaranaConnection {
        status: Some(status),
        ..fresh
    };
    match api
        .replace_status(&updated.name_any(), &PostParams::default(), &updated)
        .await
    {
        Err(kube::Error::Api(e)) if e.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

fn retry_delay(fault: &Fault, failures: u32, context: &ConnectionContext) -> Duration {
    if fault.is_permanent() {
        context.probe_interval
    } else {
        backoff(failures, fault)
    }
}

fn is_fresh(entry: &ConnectionEntry, context: &ConnectionContext) -> bool {
    entry.checked.is_some() && !remaining(entry, context).is_zero()
}

/// How long the result of the last probe remains valid. A transient fault has a shorter delay.
fn remaining(entry: &ConnectionEntry, context: &ConnectionContext) -> Duration {
    let validity = match &entry.state {
        ConnectionState::Unverified(fault) | ConnectionState::Rejected(fault) => {
            retry_delay(fault, entry.failures, context)
        }
        ConnectionState::Ready | ConnectionState::Missing => context.probe_interval,
    };
    let Some(checked) = entry.checked else {
        return Duration::ZERO;
    };
    let age = now()
        .duration_since(checked)
        .max(SignedDuration::ZERO)
        .unsigned_abs();
    // The runtime may requeue slightly early.
    validity
        .checked_sub(age)
        .filter(|d| *d > Duration::from_millis(50))
        .unwrap_or_default()
}

fn wall_clock(at: Instant) -> Option<Timestamp> {
    let left = at.checked_duration_since(Instant::now())?;
    now().checked_add(SignedDuration::try_from(left).ok()?).ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this controller that reads the clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
