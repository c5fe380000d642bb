//! The charts: Helm lints them without warnings, renders what the values say, and the API server accepts and enforces it.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::environment::{self, TestEnvironment};
use super::servers;

mod admission_policy;
mod artifact_hub;
mod crds;
mod examples;
mod notes;
mod objects;
mod own_objects;
mod templates;
mod values_schema;
mod values_table;
mod values_tree;

const CHART: &str = "charts/tarana-operator";
const CRD_CHART: &str = "charts/tarana-operator-crds";

/// Runs Helm in the root folder, against the shared control plane, and returns its standard output.
pub async fn helm(args: &[&str]) -> String {
    run_helm(args)
        .await
        .unwrap_or_else(|error| panic!("helm {args:?}:\n{error}"))
}

/// The same; the error is all that Helm printed.
async fn run_helm(args: &[&str]) -> Result<String, String> {
    let helm = devenv::tools::helm().await.expect("Helm");
    let kubeconfig = servers::plane().await.kubeconfig();
    let run = Command::new(helm)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .current_dir(root())
        .output();
    let done = run.await.unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    if done.status.success() {
        Ok(out.into_owned())
    } else {
        Err(format!("{out}{err}"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The objects of a release of the chart; the error is that of Helm.
async fn render(release: &str, namespace: &str, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let template = ["template", release, CHART, "--namespace", namespace];
    let rendered = run_helm(&[&template, arguments].concat()).await?;
    Ok(objects_of(&rendered))
}

/// The objects of a YAML stream.
pub fn objects_of(yaml: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|e| panic!("{e}: {yaml}"));
    objects.retain(|object| !object.is_null());
    objects
}

/// The object of this kind and name.
fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found
        .next()
        .unwrap_or_else(|| panic!("no {kind} {name}: {objects:#?}"))
}

/// Lets the API server check the objects, without storing them.
async fn dry_run(objects: &[Value]) -> devenv::Result<String> {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let arguments = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let kubectl = servers::plane().await.kubectl();
    kubectl.run_with(&arguments, &list.to_string()).await
}
