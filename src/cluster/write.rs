//! What the controllers share when they write to the API server.

use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// Why a reconcile could not record its result.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server rejected a request or could not be reached.
    #[error("{0}")]
    Kubernetes(#[from] kube::Error),
    /// The object was changed by another writer, or is gone: reconcile again.
    #[error("the object was changed by another writer")]
    Conflict,
}

/// Deletes this object, but no other object of the same name. Succeeds if it is gone.
pub async fn delete<K>(api: &Api<K>, object: &K) -> Result<(), ReconcileError>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let same_object = Preconditions {
        uid: object.uid(),
        resource_version: None,
    };
    let params = DeleteParams::default().preconditions(same_object);
    ignore_gone(api.delete(&object.name_any(), &params).await)
}

/// Ignores 404 (the object is gone) and 409 (it is another object).
pub fn ignore_gone<T>(outcome: Result<T, kube::Error>) -> Result<(), ReconcileError> {
    match outcome {
        Err(kube::Error::Api(e)) if e.code == 404 || e.code == 409 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// The `resourceVersion` as a number. Kubernetes guarantees since 1.35 that versions of one resource are comparable; where they
/// are not, a stale reconcile ends with a conflict.
pub fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}
