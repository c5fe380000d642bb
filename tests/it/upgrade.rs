//! The upgrade from the previous release: its CRDs, objects and tables are replaced by those of this version, nothing is lost, and every change is
//! additive.

use std::path::{Path, PathBuf};

use devenv::Kubectl;
use serde_json::Value;

mod additive;
mod catalog;
mod crds;
mod downgrade;
mod previous;
mod process;
mod rights;

/// A folder of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The objects of a file or folder, as JSON. The kinds must be served.
async fn parse(kubectl: &Kubectl, path: &Path) -> Vec<Value> {
    let path = path.display().to_string();
    let arguments = [
        "create",
        "--dry-run=client",
        "--validate=false",
        "--output=json",
        "--filename",
        &path,
    ];
    let printed = kubectl.run(&arguments).await.unwrap();
    let documents = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
    let mut objects = Vec::new();
    for document in documents.map(Result::unwrap) {
        match document["items"].as_array() {
            Some(items) => objects.extend(items.clone()),
            None => objects.push(document),
        }
    }
    objects
}
