//! Removes a finalizer, whoever changes the object at the same time.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::write::ReconcileError;

/// How often it is tried at once while others change the object.
const TRIES: usize = 5;

/// Removes a finalizer from this object, but not from another one of the same name, and keeps its other finalizers. Returns the metadata that
/// was written; `None` if the object is gone or does not have the finalizer. [`ReconcileError::Conflict`] if others keep changing it.
pub async fn remove_finalizer<K>(
    api: &Api<K>,
    metadata: &ObjectMeta,
    finalizer: &str,
) -> Result<Option<ObjectMeta>, ReconcileError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut newest = metadata.clone();
    let name = metadata.name.as_deref().unwrap_or_default();
    for _ in 0..TRIES {
        let mut finalizers = newest.finalizers.unwrap_or_default();
        if !finalizers.iter().any(|own| own == finalizer) {
            return Ok(None);
        }
        finalizers.retain(|own| own != finalizer);
        let patch = json!({"metadata": {
            "uid": metadata.uid, "resourceVersion": newest.resource_version, "finalizers": finalizers,
        }});
        match api
            .patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(written) => return Ok(Some(written.metadata)),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
        let fresh = api.get_metadata_opt(name).await?;
        match fresh.filter(|fresh| fresh.metadata.uid == metadata.uid) {
            Some(fresh) => newest = fresh.metadata,
            None => return Ok(None),
        }
    }
    Err(ReconcileError::Conflict)
}
