//! What users write and read: the kinds of group `tarana.dev`, version `v1alpha1`.

use kube::CustomResourceExt;

pub mod condition;
pub mod connection;
pub mod reason;
pub mod sync;

/// Group of all kinds.
pub const GROUP: &str = "tarana.dev";

/// The custom resource definitions as `(file name, YAML)`, in the form in which `crds/` keeps them.
pub fn crds() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    [connection::TaranaConnection::crd(), sync::TaranaSync::crd()]
        .iter()
        .map(|crd| {
            Ok((
                format!("{}.yaml", crd.spec.names.plural),
                serde_saphyr::to_string(crd)?,
            ))
        })
        .collect()
}
