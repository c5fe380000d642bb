//! Tries each connection when it changes, when one of its Secrets changes, when a run asks for it and every ten
//! minutes; says in its status what was found, and opens or shuts the gate for its runs.

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

use super::link::{self, Link};
use super::registry::{Connections, Entry, Key, State, being_verified, pause};
use super::status::{News, next, state_after};
use crate::api::connection::TaranaConnection;
use crate::fault::Fault;

/// What every turn needs.
pub struct Context {
    /// Talks to Kubernetes.
    pub client: Client,
    /// What is known of the connections of this scope.
    pub connections: Arc<Connections>,
    /// Whether the tables may be made and changed.
    pub migrate: bool,
    /// How long a verified connection is trusted.
    pub recheck_every: Duration,
}

/// Runs until its streams end.
pub async fn run(
    context: Arc<Context>,
    reader: Reader<TaranaConnection>,
    objects: impl Stream<Item = Arc<TaranaConnection>> + Send + 'static,
    secrets: impl Stream<Item = Result<PartialObjectMeta<Secret>, watcher::Error>> + Send + 'static,
) {
    let (of_secret, connections) = (reader.clone(), context.connections.clone());
    let wanted = context.connections.wanted().map(|key| key.object_ref());
    // The runtime gives no turn to an object that is gone; the cache knows of its end before this stream tells of it.
    let known = context.connections.clone();
    let objects = objects.inspect(move |touched| known.forget_if_gone(&Key::of(touched)));
    Controller::for_shared_stream(objects, reader)
        .watches_stream(secrets, move |secret| users_of(&of_secret, &connections, &secret))
        .reconcile_on(wanted)
        .run(reconcile, |_, error, _| on_error(error), context)
        .for_each(|_| ready(()))
        .await;
}

fn on_error(error: &kube::Error) -> Action {
    tracing::warn!(%error, "connection: the Kubernetes API could not be used, trying again in 5 s");
    Action::requeue(Duration::from_secs(5))
}

/// The connections that a Secret belongs to. Those are shut until they were tried anew, so that no run ends on what
/// the old Secret said.
fn users_of(
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
            connections.secret_changed(
                &Key::of(c),
                &link::version(
                    secret.metadata.uid.as_deref(),
                    secret.metadata.resource_version.as_deref(),
                ),
            );
            ObjectRef::from_obj(c.as_ref())
        })
        .collect()
}

/// One turn: observe, try if it is time, tell.
async fn reconcile(connection: Arc<TaranaConnection>, context: Arc<Context>) -> Result<Action, kube::Error> {
    let key = Key::of(&connection);
    let again = match observe(&connection, &context, &key).await {
        Ok(entry) if is_fresh(&entry, &context) => remaining(&entry, &context),
        Ok(entry) => {
            announce_trial(&connection, &context).await?;
            try_it(&context, &key, entry).await
        }
        Err(fault) => shut(&connection, &context, &key, &fault),
    };
    tell(&connection, &context, &key).await?;
    Ok(Action::requeue(again))
}

/// The entry that fits the object and its Secrets as they are now: the known one, or a new one that was never tried.
async fn observe(connection: &TaranaConnection, context: &Context, key: &Key) -> Result<Entry, Fault> {
    let inputs = link::inputs(&context.client, connection).await?;
    let known = context.connections.entry(key);
    let same_link = |e: &Entry| {
        e.link
            .as_ref()
            .is_some_and(|l| l.fingerprint == inputs.fingerprint)
    };
    if let Some(entry) = known.clone().filter(same_link) {
        return Ok(entry);
    }
    let link = Arc::new(link::build(connection, inputs, context.migrate)?);
    Ok(Entry {
        link: Some(link),
        ..blank(connection, known, State::Unverified(being_verified()))
    })
}

fn blank(connection: &TaranaConnection, known: Option<Entry>, state: State) -> Entry {
    let failures = known.as_ref().map_or(0, |e| e.failures);
    let found = known.as_ref().map_or_else(String::new, |e| e.found.clone());
    Entry {
        uid: connection.metadata.uid.clone().unwrap_or_default(),
        generation: connection.metadata.generation,
        state,
        checked: None,
        link: None,
        failures,
        found,
        active: known.and_then(|e| e.active),
    }
}

/// Nothing can be tried: a Secret is missing, or what it holds has no usable form.
fn shut(connection: &TaranaConnection, context: &Context, key: &Key, fault: &Fault) -> Duration {
    let known = context.connections.entry(key);
    let mut entry = blank(connection, known, state_after(fault.clone()));
    entry.checked = Some(now());
    entry.failures = if fault.is_permanent() {
        0
    } else {
        entry.failures.saturating_add(1)
    };
    let again = again_after(fault, entry.failures, context);
    context.connections.put(key, &entry);
    again
}

/// The trial: the database first, so that a run that fails on the API can still leave its log row.
async fn try_it(context: &Context, key: &Key, mut entry: Entry) -> Duration {
    let Some(link) = entry.link.clone() else {
        return context.recheck_every;
    };
    let outcome = trial(&link).await;
    entry.checked = Some(now());
    let again = match outcome {
        Ok(found) => {
            tracing::info!(connection = %key, "verified: {found}");
            entry.state = State::Ready;
            entry.failures = 0;
            entry.found = found;
            context.recheck_every
        }
        Err(fault) => {
            tracing::warn!(connection = %key, reason = %fault.reason, "{}", fault.message);
            entry.failures = entry.failures.saturating_add(1);
            let again = again_after(&fault, entry.failures, context);
            entry.state = state_after(fault);
            again
        }
    };
    // A run may have begun or ended meanwhile.
    entry.active = context.connections.entry(key).and_then(|e| e.active);
    context.connections.put(key, &entry);
    again
}

async fn trial(link: &Link) -> Result<String, Fault> {
    link.verify_store().await?;
    let api = link.tarana.verify().await?;
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
        link.spec.database.schema
    ))
}

/// A first trial may take as long as a server hangs: say that it is under way.
async fn announce_trial(connection: &TaranaConnection, context: &Context) -> Result<(), kube::Error> {
    let told = connection.status.as_ref().and_then(|s| s.observed_generation);
    if told == connection.metadata.generation {
        return Ok(());
    }
    let news = News {
        state: State::Unverified(being_verified()),
        found: String::new(),
        active: connection.status.as_ref().and_then(|s| s.active_sync.clone()),
        last_success: None,
        throttled_until: None,
        listing: None,
    };
    write(connection, context, &news).await
}

async fn tell(connection: &TaranaConnection, context: &Context, key: &Key) -> Result<(), kube::Error> {
    let Some(entry) = context.connections.entry(key) else {
        return Ok(());
    };
    let told = connection.status.as_ref().and_then(|s| s.active_sync.as_deref());
    let news = News {
        state: entry.state,
        found: entry.found,
        active: entry.active.and_then(|active| active.worth_telling(told)),
        last_success: last_success(key, entry.link.as_deref()).await,
        throttled_until: entry
            .link
            .as_ref()
            .and_then(|l| l.tarana.throttled_until())
            .and_then(wall_clock),
        listing: entry.link.as_ref().map(|l| l.tarana.listing()),
    };
    write(connection, context, &news).await
}

/// The audit rows know it best; where they cannot be asked, the status keeps what it says.
async fn last_success(key: &Key, link: Option<&Link>) -> Option<(Timestamp, i64)> {
    let link = link?;
    match link.store.last_success(link.uid).await {
        Ok(found) => found.and_then(|(seconds, count)| Some((Timestamp::from_second(seconds).ok()?, count))),
        Err(fault) => {
            tracing::warn!(connection = %key, %fault, "the last success could not be asked for");
            None
        }
    }
}

/// Writes the status if it says anything new. A conflict means that the object changed: its own turn follows.
async fn write(connection: &TaranaConnection, context: &Context, news: &News) -> Result<(), kube::Error> {
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
    let status = next(&fresh, news, now());
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

fn again_after(fault: &Fault, failures: u32, context: &Context) -> Duration {
    if fault.is_permanent() {
        context.recheck_every
    } else {
        pause(failures, fault)
    }
}

fn is_fresh(entry: &Entry, context: &Context) -> bool {
    entry.checked.is_some() && !remaining(entry, context).is_zero()
}

/// How long the last trial is still good for. One that failed in a way that may pass has its own, shorter pause.
fn remaining(entry: &Entry, context: &Context) -> Duration {
    let lasts = match &entry.state {
        State::Unverified(fault) | State::Refused(fault) => again_after(fault, entry.failures, context),
        State::Ready | State::Missing => context.recheck_every,
    };
    let Some(checked) = entry.checked else {
        return Duration::ZERO;
    };
    let age = now()
        .duration_since(checked)
        .max(SignedDuration::ZERO)
        .unsigned_abs();
    // The runtime may wake a moment early.
    lasts
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
