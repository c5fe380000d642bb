//! The kinds of group `tarana.dev`, version `v1alpha1`, their conditions and their reasons.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub mod condition;
pub mod connection;
pub mod host;
pub mod reason;
pub mod schedule;
mod schema;
pub mod sync;
pub mod text;

/// API group of all kinds.
pub const GROUP: &str = "tarana.dev";

/// The custom resource definitions.
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [
        connection::TaranaConnection::crd(),
        sync::TaranaSync::crd(),
        schedule::TaranaSyncSchedule::crd(),
    ]
    .map(schema::complete)
}

/// The same as `(file name, YAML)`, as `crds/` contains them.
pub fn crds() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    definitions()
        .iter()
        .map(|crd| {
            Ok((
                format!("{}.yaml", crd.spec.names.plural),
                serde_saphyr::to_string(crd)?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn committed_crds_are_up_to_date() {
        for (file, yaml) in super::crds().unwrap() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds").join(&file);
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == yaml,
                "crds/{file} is out of date: run `make crds` and commit it"
            );
        }
    }
}
