//! Restores what the previous release has left: its CRDs, objects with their status, and tables with their rows.

use std::process::Command;

use devenv::{ControlPlane, Kubectl};
use serde_json::{Value, json};

use super::{folder, parse};
use crate::environment::TestEnvironment;

/// The namespace of the recorded objects.
pub const NAMESPACE: &str = "upgrade";
const KINDS: [&str; 3] = ["TaranaConnection", "TaranaSyncSchedule", "TaranaSync"];

fn fixture(name: &str) -> String {
    std::fs::read_to_string(folder("tests/it/upgrade/previous").join(name)).unwrap()
}

/// Names that differ from installation to installation: the recorded ones, and those here.
#[derive(Default)]
pub struct Renamed(Vec<(String, String)>);

impl Renamed {
    fn add(&mut self, recorded: &str, here: &str) {
        self.0.push((recorded.to_owned(), here.to_owned()));
    }

    fn apply(&self, text: &str) -> String {
        let replace = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.0.iter().fold(text.to_owned(), replace)
    }
}

/// Installs the CRDs of the previous release, and creates its objects in the order in which they refer to each other. An API server
/// gives them new uids.
pub async fn restore_objects(plane: &ControlPlane, env: &TestEnvironment) -> Renamed {
    let kubectl = plane.kubectl();
    let crds = folder("tests/it/upgrade/previous/crds").display().to_string();
    for arguments in [
        &["apply", "--server-side", "-f", &crds][..],
        &[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            &crds,
        ],
    ] {
        kubectl.run(arguments).await.unwrap();
    }
    let mut renamed = Renamed::default();
    let recorded = fixture("recorded");
    let value = |name: &str| {
        let mut lines = recorded.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).unwrap().1
    };
    renamed.add(value("tcs_url"), env.tcs.url());
    let system = [
        "get",
        "namespace",
        "kube-system",
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    renamed.add(value("cluster_uid"), &kubectl.run(&system).await.unwrap());
    let objects = parse(&kubectl, &folder("tests/it/upgrade/previous/objects.yaml")).await;
    assert_eq!(objects.len(), 10, "connections, a schedule and runs");
    for kind in KINDS {
        for object in objects.iter().filter(|object| object["kind"] == kind) {
            create(&kubectl, object, &mut renamed).await;
        }
    }
    renamed
}

async fn create(kubectl: &Kubectl, recorded: &Value, renamed: &mut Renamed) {
    let mut object = recorded.clone();
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    let uid = metadata.remove("uid").unwrap();
    for field in ["resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(field);
    }
    let arguments = ["create", "--output=json", "--filename=-"];
    let created = kubectl
        .run_with(&arguments, &renamed.apply(&object.to_string()))
        .await
        .unwrap();
    let created: Value = serde_json::from_str(&created).unwrap();
    renamed.add(
        uid.as_str().unwrap(),
        created["metadata"]["uid"].as_str().unwrap(),
    );
    let status = renamed.apply(&json!({"status": recorded["status"]}).to_string());
    let kind = recorded["kind"].as_str().unwrap();
    let name = recorded["metadata"]["name"].as_str().unwrap();
    let patch = [
        "patch",
        kind,
        name,
        "--namespace",
        NAMESPACE,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status,
    ];
    kubectl.run(&patch).await.unwrap();
}

/// Restores the tables into an empty database.
pub fn restore_tables(url: &str, renamed: &Renamed) {
    let file = tempfile(&renamed.apply(&fixture("schema.sql")));
    let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"];
    let done = Command::new("psql")
        .arg(url)
        .args(arguments)
        .arg(&file)
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn tempfile(text: &str) -> std::path::PathBuf {
    let name = format!("previous-{}.sql", uuid::Uuid::new_v4().simple());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// All objects, by kind and name.
pub async fn objects(kubectl: &Kubectl) -> Vec<Value> {
    let get = [
        "get",
        "tconn,tss,tsync",
        "--namespace",
        NAMESPACE,
        "--output=json",
    ];
    let list: Value = serde_json::from_str(&kubectl.run(&get).await.unwrap()).unwrap();
    list["items"].as_array().unwrap().clone()
}
