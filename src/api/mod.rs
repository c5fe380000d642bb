//! What users write and read: the kinds of group `tarana.dev`, version `v1alpha1`.

use kube::CustomResourceExt;

pub mod condition;
pub mod connection;
pub mod reason;
pub mod schedule;
pub mod sync;

/// Group of all kinds.
pub const GROUP: &str = "tarana.dev";

/// The custom resource definitions as `(file name, YAML)`, in the form in which `crds/` keeps them.
pub fn crds() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    [
        connection::TaranaConnection::crd(),
        sync::TaranaSync::crd(),
        schedule::TaranaSyncSchedule::crd(),
    ]
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
    fn the_committed_definitions_are_the_generated_ones() {
        for (file, yaml) in super::crds().unwrap() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds").join(&file);
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == yaml,
                "crds/{file} is not what src/api makes: run `make crds` and commit it"
            );
        }
    }
}
