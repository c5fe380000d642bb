//! The connections that a caller may list.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;

use super::auth::{Caller, Permission};
use super::kind::sort_by_name;
use super::objects::CachedKind;
use super::problem::Problem;
use super::state::AdminState;
use crate::api::connection::TaranaConnection;

/// The connections of the namespaces in which the caller may list them, sorted by namespace and name.
pub async fn listable_connections(
    state: &AdminState,
    caller: &Arc<Caller>,
) -> Result<Vec<Arc<TaranaConnection>>, Problem> {
    state.objects.require_synced()?;
    let mut connections = state.objects.list::<TaranaConnection>(None, |_| true);
    let namespaces: HashSet<_> = connections
        .iter()
        .filter_map(|connection| connection.namespace())
        .collect();
    let mut allowed = HashSet::new();
    for namespace in namespaces {
        let permission = Permission::new("list", TaranaConnection::RESOURCE, Some(&namespace));
        if state.authorizer.is_allowed(caller, &permission).await? {
            allowed.insert(namespace);
        }
    }
    connections.retain(|connection| {
        connection
            .metadata
            .namespace
            .as_ref()
            .is_some_and(|ns| allowed.contains(ns))
    });
    sort_by_name(&mut connections);
    Ok(connections)
}
