//! Namespace and name of a connection.

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::connection::TaranaConnection;
use crate::api::sync::TaranaSync;

/// Identifies a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Key {
    /// The key of an object.
    pub fn of(connection: &TaranaConnection) -> Self {
        Self {
            namespace: connection.namespace().unwrap_or_default(),
            name: connection.name_any(),
        }
    }

    /// The key of the connection that a run names.
    pub fn of_run(sync: &TaranaSync) -> Self {
        Self {
            namespace: sync.namespace().unwrap_or_default(),
            name: sync.spec.connection_ref.name.clone(),
        }
    }

    /// Namespace and name, as labels of metrics.
    pub fn names(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// The reference that watch caches and controllers use.
    pub fn object_ref(&self) -> ObjectRef<TaranaConnection> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}
