//! What is watched: the three kinds, in one namespace or in all.

use futures::FutureExt;
use futures::future::{BoxFuture, Future, select_all};

use super::{Cluster, Watched};
use crate::api::connection::TaranaConnection;
use crate::api::schedule::TaranaSyncSchedule;
use crate::api::sync::TaranaSync;

/// One watch for each kind in a namespace, or in all of them.
#[derive(Debug)]
pub struct Scope {
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    /// The connections in it.
    pub connections: Watched<TaranaConnection>,
    /// The runs in it.
    pub syncs: Watched<TaranaSync>,
    /// The schedules in it.
    pub schedules: Watched<TaranaSyncSchedule>,
}

impl Scope {
    /// A scope for each of the namespaces, or one for all where none is named, and what keeps their caches.
    pub fn all(cluster: &Cluster, namespaces: &[String]) -> (Vec<Self>, impl Future<Output = ()> + use<>) {
        let named: Vec<Option<String>> = match namespaces {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        tracing::info!(scopes = ?named.iter().map(|s| s.as_deref().unwrap_or("all namespaces")).collect::<Vec<_>>(), "watching");
        let mut keep: Vec<BoxFuture<'static, ()>> = Vec::new();
        let scopes = named.into_iter().map(|namespace| {
            let of = namespace.as_deref();
            let (connections, of_connections) = Watched::new(cluster, of);
            let (syncs, of_syncs) = Watched::new(cluster, of);
            let (schedules, of_schedules) = Watched::new(cluster, of);
            keep.extend([of_connections.boxed(), of_syncs.boxed(), of_schedules.boxed()]);
            Self {
                namespace,
                connections,
                syncs,
                schedules,
            }
        });
        let scopes = scopes.collect();
        (scopes, select_all(keep).map(drop))
    }

    /// Lists everything anew and waits until that is done, see [`Watched::refresh`].
    pub async fn refresh(&self) {
        tokio::join!(
            self.connections.refresh(),
            self.syncs.refresh(),
            self.schedules.refresh()
        );
    }

    /// Waits until every object was heard of once.
    pub async fn known(&self) {
        tokio::join!(
            self.connections.known(),
            self.syncs.known(),
            self.schedules.known()
        );
    }

    /// Whether this scope has the objects of a namespace.
    pub fn holds(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// The kinds that were not listed yet.
    pub fn unlisted(&self) -> Vec<&'static str> {
        let kinds = [
            ("TaranaConnections", self.connections.is_listed()),
            ("TaranaSyncs", self.syncs.is_listed()),
            ("TaranaSyncSchedules", self.schedules.is_listed()),
        ];
        let unlisted = kinds.into_iter().filter(|(_, listed)| !listed);
        unlisted.map(|(kind, _)| kind).collect()
    }
}
