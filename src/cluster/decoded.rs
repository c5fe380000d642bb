//! Decodes watched objects one by one, so that an object that our types cannot represent does not end the watch of all others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::kind::Kind;

/// An object that the API server stores and our types cannot represent, for example one that a newer version has written.
#[derive(Clone, Debug)]
pub struct InvalidObject {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The path of the field and why it cannot be decoded, for example `spec.trigger.scheduledTime: …`.
    pub error: String,
}

/// The objects that cannot be decoded. They are in no other part of the cache.
pub type InvalidObjects<K> = HashMap<ObjectRef<K>, Arc<InvalidObject>>;

/// A watched object. Decoding it fails only if the response is not an object of Kubernetes at all.
#[derive(Clone, Debug)]
pub(super) enum Decoded<K> {
    /// The object.
    Valid(K),
    /// What is known of an object that cannot be decoded.
    Invalid(Box<InvalidObject>),
}

impl<'de, K: Kind> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        // They are most of an object's size and unused. The API server keeps them when a write omits them.
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let error = match serde_path_to_error::deserialize(&object) {
            Ok(valid) => return Ok(Self::Valid(valid)),
            Err(error) => error.to_string(),
        };
        let metadata = object.get("metadata").cloned().unwrap_or_default();
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        Ok(Self::Invalid(Box::new(InvalidObject { metadata, error })))
    }
}

impl<K: Kind> Resource for Decoded<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Valid(object) => object.meta(),
            Self::Invalid(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Valid(object) => object.meta_mut(),
            Self::Invalid(invalid) => &mut invalid.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decoded;
    use crate::api::sync::TaranaSync;
    use k8s_openapi::api::core::v1::Secret;
    use kube::Resource;
    use kube::core::PartialObjectMeta;
    use serde_json::json;

    #[test]
    fn the_content_of_secrets_is_not_requested() {
        assert!(Decoded::<PartialObjectMeta<Secret>>::metadata_api());
        assert!(!Decoded::<TaranaSync>::metadata_api());
    }

    #[test]
    fn managed_fields_are_dropped() {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "spec": {},
            "metadata": {"name": "run", "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]}});
        let decoded = serde_json::from_value::<Decoded<TaranaSync>>(object).unwrap();
        assert!(decoded.meta().managed_fields.is_none() && decoded.meta().name.is_some());
    }

    #[test]
    fn an_object_that_cannot_be_decoded_names_its_field() {
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"namespace": "ns", "name": "run"}, "spec": {}, "status": {"phase": "Paused"}});
        let Decoded::Invalid(invalid) = serde_json::from_value::<Decoded<TaranaSync>>(object).unwrap() else {
            panic!("the phase was decoded");
        };
        assert_eq!(invalid.metadata.name.as_deref(), Some("run"));
        assert!(invalid.error.starts_with("status.phase: "), "{}", invalid.error);
        assert!(invalid.error.contains("Paused"), "{}", invalid.error);
    }

    #[test]
    fn a_response_that_is_no_object_is_an_error() {
        let text = json!({"metadata": "none"});
        assert!(serde_json::from_value::<Decoded<TaranaSync>>(text).is_err());
    }
}
