//! Writes the status of a connection and publishes the Events of its transitions. Each write carries the resourceVersion that
//! was observed, so that a conflict repeats the reconcile.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};

use super::clients::ConnectionClients;
use super::context::ConnectionContext;
use super::key::Key;
use super::state::{ConnectionState, being_verified};
use super::status::{StatusUpdate, next_status, transition_event};
use super::warnings::{self, Warnings};
use crate::api::connection::TaranaConnection;
use crate::cluster::{ReconcileError, unfinished_on};
use crate::metrics::TableState;

/// A shorter run is not shown as `activeSync`, to save a write to the API server.
const ACTIVE_DELAY: Duration = Duration::from_secs(5);

/// One object, as it was last read or written.
pub(super) struct Record<'a> {
    context: &'a ConnectionContext,
    /// The newest copy.
    pub connection: TaranaConnection,
}

/// The active run of a connection.
struct ActiveRun {
    name: String,
    /// How long it is still too short to be shown.
    shown_in: Duration,
}

impl<'a> Record<'a> {
    pub fn new(context: &'a ConnectionContext, connection: TaranaConnection) -> Self {
        Self { context, connection }
    }

    /// Shows that a first probe is in progress, since it may take as long as a server hangs.
    pub async fn publish_probe_started(&mut self) -> Result<(), ReconcileError> {
        let status = self.connection.status.as_ref();
        if status.and_then(|s| s.observed_generation) == self.connection.metadata.generation {
            return Ok(());
        }
        let update = StatusUpdate {
            state: ConnectionState::Unverified(being_verified()),
            summary: String::new(),
            active: status.and_then(|s| s.active_sync.clone()),
            last_success: None,
            throttled_until: None,
            sink: None,
            warnings: Warnings {
                open_rows: self.context.connections.open_rows(&Key::of(&self.connection)),
                plain_text: None,
                overlaps: None,
            },
            listing: None,
        };
        self.write(&update).await
    }

    /// Writes what is known. Returns when the active run is to be shown, if it is too short yet.
    pub async fn publish(
        &mut self,
        key: &Key,
        read_success: bool,
    ) -> Result<Option<Duration>, ReconcileError> {
        let Some(entry) = self.context.connections.entry(key) else {
            return Ok(None);
        };
        let clients = entry.clients.as_deref();
        let active = self.active_run(key);
        let shown_in = active.as_ref().map(|a| a.shown_in).filter(|d| !d.is_zero());
        let update = StatusUpdate {
            state: entry.state.clone(),
            summary: entry.summary.clone(),
            active: active.filter(|a| a.shown_in.is_zero()).map(|a| a.name),
            last_success: match clients {
                Some(clients) if read_success => self.last_success(key, clients).await,
                _ => None,
            },
            throttled_until: clients
                .and_then(|c| c.tarana.throttled_until())
                .and_then(wall_clock),
            sink: self.context.connections.sink_report(key),
            warnings: Warnings {
                open_rows: self.context.connections.open_rows(key),
                plain_text: clients.map(ConnectionClients::plain_text),
                overlaps: if self.connection.spec.suspend {
                    Some(Vec::new())
                } else {
                    self.context.registries.overlaps(key, &entry)
                },
            },
            listing: clients.map(|c| c.tarana.listing()),
        };
        self.write(&update).await?;
        Ok(shown_in)
    }

    fn active_run(&self, key: &Key) -> Option<ActiveRun> {
        let runs = self.context.syncs.find(&unfinished_on(&key.namespace, &key.name));
        let started = runs
            .iter()
            .filter_map(|run| Some((run.status.as_ref()?.start_time.as_ref()?.0, run.name_any())));
        let (start, name) = started.min()?;
        let shown = self
            .connection
            .status
            .as_ref()
            .and_then(|s| s.active_sync.as_ref());
        let age = now()
            .duration_since(start)
            .max(SignedDuration::ZERO)
            .unsigned_abs();
        let shown_in = if shown == Some(&name) {
            Duration::ZERO
        } else {
            ACTIVE_DELAY.saturating_sub(age)
        };
        Some(ActiveRun { name, shown_in })
    }

    /// The last success according to the log rows; `None` keeps the value in the status. What else they say becomes metrics.
    async fn last_success(&self, key: &Key, clients: &ConnectionClients) -> Option<(Timestamp, i64)> {
        let summary = match clients.store.summary(clients.uid).await {
            Ok(summary) => summary,
            Err(fault) => {
                tracing::warn!(%fault, "the last success could not be read");
                return None;
            }
        };
        let table = TableState {
            last_run: summary.last_run,
            withheld: summary.withheld,
            online: summary.online,
            offline: summary.offline,
        };
        self.context.metrics.runs.observe_table(key.names(), table);
        let (seconds, count) = summary.last_success?;
        Some((Timestamp::from_second(seconds).ok()?, count))
    }

    /// Writes the status if it differs.
    async fn write(&mut self, update: &StatusUpdate) -> Result<(), ReconcileError> {
        let status = next_status(&self.connection, update, now());
        if self.connection.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let before = self.connection.status.as_ref();
        let mut events = warnings::events(before, &status);
        events.extend(transition_event(before, &status));
        let mut next = self.connection.clone();
        next.status = Some(status);
        let namespace = next.namespace().unwrap_or_default();
        let api: Api<TaranaConnection> = Api::namespaced(self.context.client.clone(), &namespace);
        match api
            .replace_status(&next.name_any(), &PostParams::default(), &next)
            .await
        {
            Ok(written) => self.connection = written,
            Err(kube::Error::Api(e)) if e.code == 404 => return Ok(()),
            Err(kube::Error::Api(e)) if e.code == 409 => return Err(ReconcileError::Conflict),
            Err(e) => return Err(e.into()),
        }
        for event in events {
            self.context
                .notifier
                .publish(&self.connection.object_ref(&()), &event)
                .await;
        }
        Ok(())
    }
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
