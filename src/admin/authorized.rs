//! Objects of the watch caches, for a caller with the permission.

use std::sync::Arc;

use super::auth::{Caller, Permission};
use super::kind::{ApiKind, sort_by_name};
use super::problem::Problem;
use super::state::AdminState;

/// The responses for the objects of a namespace, or of all, sorted by namespace and name. Requires `list`.
pub async fn list_objects<K: ApiKind>(
    state: &AdminState,
    caller: &Arc<Caller>,
    namespace: Option<&str>,
) -> Result<Vec<K::Response>, Problem> {
    let permission = Permission::new("list", K::RESOURCE, namespace);
    state.authorizer.authorize(caller, &permission).await?;
    state.objects.require_synced()?;
    let mut objects = state.objects.list::<K>(namespace, |_| true);
    sort_by_name(&mut objects);
    Ok(objects
        .iter()
        .map(|object| K::Response::from(object.as_ref()))
        .collect())
}

/// The object, if the caller has the permission for the verb. The denial of a change is published as an Event of the object.
pub async fn authorized_object<K: ApiKind>(
    state: &AdminState,
    caller: &Arc<Caller>,
    verb: &'static str,
    (namespace, name): (&str, &str),
) -> Result<Arc<K>, Problem> {
    let permission = Permission::new(verb, K::RESOURCE, Some(namespace)).on(name);
    let object = || state.objects.get::<K>(namespace, name);
    let reference = || Some(object()?.object_ref(&()));
    state.authorize(caller, &permission, reference).await?;
    state.objects.require_synced()?;
    let not_found = || {
        let kind = K::SINGULAR;
        Problem::NotFound(format!("there is no {kind} of this name in this namespace"))
    };
    object().ok_or_else(not_found)
}
