//! What the delivery needs.

use std::sync::Arc;

use kube::Client;
use kube::runtime::reflector::Store as Reader;

use super::sinks::Sinks;
use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;
use crate::cluster::{Scope, WatchCache};
use crate::connection::{Connections, Key};
use crate::leader::Validity;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::webhook::AddressPolicy;

/// What the delivery needs.
pub struct DeliveryContext {
    /// The registry of the scope.
    pub(super) connections: Arc<Connections>,
    /// The runs of the scope.
    pub(super) syncs: WatchCache<TaranaSync>,
    /// Publishes Events.
    pub(super) notifier: Notifier,
    /// Counts what happens.
    pub(super) metrics: Metrics,
    pub(super) sinks: Sinks,
    /// Whether this process may work.
    pub(super) lease: Validity,
    reader: Reader<TaranaConnection>,
}

impl DeliveryContext {
    /// The context of a scope. `policy` restricts the addresses of sinks.
    pub fn new(
        client: Client,
        scope: &Scope,
        connections: Arc<Connections>,
        (notifier, metrics): (Notifier, Metrics),
        (policy, lease): (AddressPolicy, Validity),
    ) -> Self {
        Self {
            connections,
            syncs: scope.syncs.clone(),
            notifier,
            metrics,
            sinks: Sinks::new(client, scope.secrets.reader(), policy),
            lease,
            reader: scope.connections.reader(),
        }
    }

    pub(super) fn connections_with_sink(&self) -> Vec<Arc<TaranaConnection>> {
        self.reader
            .state_filter(|connection| connection.spec.event_sink.is_some())
    }

    /// Forgets the sinks of other connections than these.
    pub(super) fn retain(&self, has_sink: impl Fn(&Key) -> bool) {
        self.sinks.retain(&has_sink);
        self.connections.retain_sinks(has_sink);
    }
}
