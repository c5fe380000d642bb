//! What the controllers share when they write to the API server.

use std::time::Duration;

use kube::api::{DeleteParams, Preconditions};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// Requeue intervals after an error.
const CONFLICT_RETRY: Duration = Duration::from_secs(1);
const OUTAGE_RETRY: Duration = Duration::from_secs(5);
const REJECTION_RETRY: Duration = Duration::from_mins(1);

/// Why a reconcile could not record its result.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server could not be reached or failed.
    #[error("{0}")]
    Kubernetes(kube::Error),
    /// The API server rejects every write of this object (422): it violates the schema or an admission policy.
    #[error("{}", rejected_writes(.0))]
    Rejected(String),
    /// The object was changed by another writer, or is gone: reconcile again.
    #[error("the object was changed by another writer")]
    Conflict,
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 422 => Self::Rejected(status.message.clone()),
            error => Self::Kubernetes(error),
        }
    }
}

impl ReconcileError {
    /// The label of the metric.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "error",
            Self::Rejected(_) => "rejected",
            Self::Conflict => "conflict",
        }
    }

    /// Logs the error and returns when to reconcile again.
    pub fn requeue<K: Resource<DynamicType = ()>>(&self, object: &K) -> Action {
        let (kind, name) = (K::kind(&()), object.name_any());
        let namespace = object.namespace();
        Action::requeue(match self {
            // The cache will receive what the other writer wrote.
            Self::Conflict => CONFLICT_RETRY,
            Self::Kubernetes(error) => {
                let after = OUTAGE_RETRY;
                tracing::warn!(%kind, namespace, name, %error, "a request to the Kubernetes API failed, retrying in {after:?}");
                after
            }
            // A change of the object is reconciled at once; a change of the policy is not seen.
            Self::Rejected(_) => {
                let after = REJECTION_RETRY;
                tracing::warn!(%kind, namespace, name, "{self}; retrying in {after:?}");
                after
            }
        })
    }
}

/// The message about an object that cannot be written.
pub fn rejected_writes(why: &str) -> String {
    format!("the API server rejects writes to this object, correct or delete it: {why}")
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
