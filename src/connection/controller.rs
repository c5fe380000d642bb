//! The controller of `TaranaConnection`: probes each connection when it or one of its Secrets changes, when a run requests it
//! and every ten minutes, writes the result to its status, and opens or blocks the gate of its runs.

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tracing::Instrument as _;

use super::clients::{self, ConnectionClients};
use super::context::ConnectionContext;
use super::key::Key;
use super::probes::{ProbeLimiter, interval_of};
use super::record::Record;
use super::registry::{ConnectionEntry, backoff};
use super::secrets;
use super::state::{ConnectionState, being_verified};
use super::status::{persists, state_after};
use crate::api::connection::TaranaConnection;
use crate::api::sync::{Phase, TaranaSync};
use crate::cluster::{ReconcileError, Scope, SecretMeta, rejected_writes};
use crate::fault::{Fault, Reason};
use crate::notify::EventSpec;
use crate::tarana::Verified;
use crate::trace::live;

/// Runs until its streams end.
pub async fn run(context: Arc<ConnectionContext>, scope: &Scope, probe_requests: UnboundedReceiver<Key>) {
    let connections = context.connections.clone();
    // The runtime does not reconcile a deleted object. The cache is updated before this stream reports the deletion.
    let (registry, registries) = (connections.clone(), context.registries.clone());
    let objects = scope.connections.objects().inspect(move |touched| {
        let key = Key::of(touched);
        if let Some(removed) = registry.remove_if_deleted(&key) {
            registries.reconcile_others(&key, &removed);
        }
    });
    let (reader, secrets) = (scope.connections.reader(), scope.secrets.reader());
    let users_of_secret = {
        let (reader, registry) = (reader.clone(), connections.clone());
        move |secret: Arc<SecretMeta>| {
            let present = secrets.get(&ObjectRef::from_obj(secret.as_ref())).is_some();
            let version = present.then(|| secret_version(&secret));
            let users = reader.state_filter(|c: &TaranaConnection| uses_secret(c, &secret));
            for user in &users {
                registry.secret_changed(&Key::of(user), secret.name_any(), version.clone());
            }
            users
                .iter()
                .map(|c| ObjectRef::from_obj(c.as_ref()))
                .collect::<Vec<_>>()
        }
    };
    // What the status shows of the runs.
    let runs = scope.syncs.objects_by(|sync| {
        let status = sync.status.as_ref();
        status.map(|s| (s.phase, s.start_time.clone()))
    });
    let connection_of_run = move |sync: Arc<TaranaSync>| {
        let key = Key::of_run(&sync);
        if has_updated_table(&sync) {
            connections.run_completed(key.clone());
        }
        [key.object_ref()]
    };
    Controller::for_shared_stream(objects, reader)
        .watches_shared_stream(scope.secrets.objects(), users_of_secret)
        .watches_shared_stream(runs, connection_of_run)
        .reconcile_on(probe_requests.map(|key| key.object_ref()))
        .run(
            reconcile,
            |connection, error: &ReconcileError, _| error.requeue(connection.as_ref()),
            context,
        )
        .for_each(|_| ready(()))
        .await;
}

fn uses_secret(connection: &TaranaConnection, secret: &SecretMeta) -> bool {
    let (name, api) = (secret.name_any(), &connection.spec.api);
    connection.namespace() == secret.namespace()
        && (api.credentials_secret_ref.name == name
            || connection.spec.database.secret_ref.name == name
            || api.ca_secret_ref.as_ref().is_some_and(|ca| ca.name == name))
}

fn secret_version(secret: &SecretMeta) -> String {
    let metadata = &secret.metadata;
    secrets::secret_version(metadata.uid.as_deref(), metadata.resource_version.as_deref())
}

fn has_updated_table(sync: &TaranaSync) -> bool {
    !sync.spec.dry_run && sync.status.as_ref().is_some_and(|s| s.phase == Phase::Completed)
}

async fn reconcile(
    connection: Arc<TaranaConnection>,
    context: Arc<ConnectionContext>,
) -> Result<Action, ReconcileError> {
    let Key { namespace, name } = Key::of(&connection);
    let span = live::connection(&namespace, &name);
    let reconcile = reconcile_connection(&connection, &context).instrument(span);
    let measured = &context.metrics.reconciles;
    let result = measured
        .measure("TaranaConnection", ReconcileError::outcome, reconcile)
        .await;
    if let Err(ReconcileError::Rejected(message)) = &result {
        let event = EventSpec::warning(Reason::InvalidObject, rejected_writes(message));
        context
            .notifier
            .publish(&connection.object_ref(&()), &event)
            .await;
    }
    result
}

/// Probes if it is due, and publishes the status.
async fn reconcile_connection(
    connection: &TaranaConnection,
    context: &ConnectionContext,
) -> Result<Action, ReconcileError> {
    let key = Key::of(connection);
    let known = context.connections.entry(&key);
    let fresh = known
        .filter(|entry| entry.describes(connection))
        .map(|entry| remaining(&entry, context))
        .filter(|remaining| !remaining.is_zero());
    let mut record = Record::new(context, connection.clone());
    let probed = fresh.is_none();
    let requeue_after = match fresh {
        Some(remaining) => remaining,
        None => probe_connection(&mut record, context, &key).await?,
    };
    let read_success = context.connections.take_success_due(&key) || probed;
    let published = record.publish(&key, read_success).await;
    if published.is_err() && read_success {
        context.connections.run_completed(key);
    }
    let recheck_active = published?;
    Ok(Action::requeue(
        recheck_active.map_or(requeue_after, |r| r.min(requeue_after)),
    ))
}

/// Reads the Secrets and probes. Returns how long the result is valid.
async fn probe_connection(
    record: &mut Record<'_>,
    context: &ConnectionContext,
    key: &Key,
) -> Result<Duration, ReconcileError> {
    let started = Instant::now();
    let former = context.connections.entry(key);
    let requeue_after = match entry_to_probe(&record.connection, context, key).await {
        Ok(entry) => {
            match record.publish_probe_started().await {
                // It can be used all the same. The result of the probe is reported.
                Ok(()) | Err(ReconcileError::Rejected(_)) => {}
                Err(error) => return Err(error),
            }
            probe_entry(context, key, entry, started).await
        }
        Err(fault) => record_unusable(&record.connection, context, key, &fault, started),
    };
    let current = context.connections.entry(key);
    if !writes_same(former.as_ref(), current.as_ref()) {
        for entry in [former, current].iter().flatten() {
            context.registries.reconcile_others(key, entry);
        }
    }
    Ok(requeue_after)
}

/// Whether a connection writes what it wrote before, as far as others are concerned.
fn writes_same(former: Option<&ConnectionEntry>, current: Option<&ConnectionEntry>) -> bool {
    let (Some(former), Some(current)) = (former, current) else {
        return former.is_none() && current.is_none();
    };
    let is_same_database = match (&former.clients, &current.clients) {
        (Some(one), Some(other)) => one.store.is_same_database(&other.store),
        (one, other) => one.is_none() && other.is_none(),
    };
    is_same_database && former.generation == current.generation && former.verified == current.verified
}

/// An entry for the object and its Secrets as they are now. The clients are replaced only if these have changed.
async fn entry_to_probe(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    key: &Key,
) -> Result<ConnectionEntry, Fault> {
    let inputs = secrets::read_inputs(&context.client, connection).await?;
    let previous = context.connections.entry(key);
    let is_current = |e: &ConnectionEntry| {
        let clients = e.clients.as_ref();
        e.describes(connection) && clients.is_some_and(|c| c.fingerprint == inputs.fingerprint)
    };
    if let Some(entry) = previous.clone().filter(is_current) {
        return Ok(entry);
    }
    let mut clients = clients::build(
        connection,
        inputs,
        context.migrate,
        (&context.pools, &context.metrics),
    )?;
    // The vendor may lock an account after a few refused logins: the pause ends with the login that was refused, not with
    // any other change.
    if let Some(former) = previous.as_ref().and_then(|entry| entry.clients.as_ref()) {
        clients.tarana.continue_session_of(&former.tarana);
    }
    let clients = Arc::new(clients);
    let state = ConnectionState::Unverified(being_verified());
    Ok(ConnectionEntry {
        clients: Some(clients),
        ..new_entry(connection, previous, state)
    })
}

fn new_entry(
    connection: &TaranaConnection,
    previous: Option<ConnectionEntry>,
    state: ConnectionState,
) -> ConnectionEntry {
    ConnectionEntry {
        uid: connection.metadata.uid.clone().unwrap_or_default(),
        generation: connection.metadata.generation,
        state,
        checked: None,
        clients: None,
        failures: previous.as_ref().map_or(0, |e| e.failures),
        summary: previous.map_or_else(String::new, |e| e.summary),
        verified: None,
    }
}

/// Records a connection that cannot be probed: a Secret is missing or contains an invalid value.
fn record_unusable(
    connection: &TaranaConnection,
    context: &ConnectionContext,
    key: &Key,
    fault: &Fault,
    started: Instant,
) -> Duration {
    tracing::warn!(reason = %fault.reason, "{}", fault.message);
    let previous = context.connections.entry(key);
    let mut entry = new_entry(connection, previous, state_after(fault.clone(), 0));
    entry.checked = Some(started);
    entry.failures = if fault.is_permanent() {
        0
    } else {
        entry.failures.saturating_add(1)
    };
    let requeue_after = retry_delay(fault, entry.failures, context);
    context.connections.insert(key, entry);
    requeue_after
}

/// Probes the database first, so that a run that fails because of the API can still write its log row.
async fn probe_entry(
    context: &ConnectionContext,
    key: &Key,
    mut entry: ConnectionEntry,
    started: Instant,
) -> Duration {
    let Some(clients) = entry.clients.clone() else {
        return context.probe_interval;
    };
    let result = probe(&context.probes, &clients).await;
    entry.checked = Some(started);
    let requeue_after = match result {
        Ok(verified) => {
            let summary = summary(&verified, &clients);
            tracing::info!("verified: {summary}");
            entry.verified = Some(Arc::new(verified));
            entry.state = ConnectionState::Ready;
            entry.failures = 0;
            entry.summary = summary;
            interval_of(&entry.uid, context.probe_interval)
        }
        Err(fault) => {
            tracing::warn!(reason = %fault.reason, "{}", fault.message);
            entry.failures = entry.failures.saturating_add(1);
            let requeue_after = retry_delay(&fault, entry.failures, context);
            entry.state = state_after(fault, entry.failures);
            requeue_after
        }
    };
    context.connections.insert(key, entry);
    requeue_after
}

async fn probe(probes: &ProbeLimiter, clients: &ConnectionClients) -> Result<Verified, Fault> {
    let (database, vendor) = (clients.store.server(), &clients.spec.api.url);
    probes.run(&database, Box::pin(clients.verify_store())).await?;
    probes.run(vendor, Box::pin(clients.tarana.verify())).await
}

fn summary(verified: &Verified, clients: &ConnectionClients) -> String {
    let names: Vec<String> = verified.regions.iter().map(ToString::to_string).collect();
    format!(
        "operator {}, {} region(s): {}; schema {} is current",
        verified.operator_id,
        names.len(),
        names.join(", "),
        clients.spec.database.schema
    )
}

fn retry_delay(fault: &Fault, failures: u32, context: &ConnectionContext) -> Duration {
    if persists(fault, failures) {
        context.probe_interval
    } else {
        backoff(failures, fault)
    }
}

/// How long the result of the last probe remains valid. A transient fault has a shorter delay.
fn remaining(entry: &ConnectionEntry, context: &ConnectionContext) -> Duration {
    let validity = match &entry.state {
        ConnectionState::Unverified(fault) | ConnectionState::Rejected(fault) => {
            retry_delay(fault, entry.failures, context)
        }
        ConnectionState::Ready | ConnectionState::Missing => interval_of(&entry.uid, context.probe_interval),
    };
    let Some(checked) = entry.checked else {
        return Duration::ZERO;
    };
    // The runtime may requeue slightly early.
    validity
        .checked_sub(checked.elapsed())
        .filter(|d| *d > Duration::from_millis(50))
        .unwrap_or_default()
}
