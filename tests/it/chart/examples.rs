//! The examples of values in `ci/`: Helm lints and renders them, and the API server accepts the objects.

use serde_json::Value;

use super::{CHART, TestEnvironment, dry_run, helm, read, render, root, servers};

/// Kinds of other projects, which a cluster without them rejects.
const FOREIGN: [&str; 2] = ["monitoring.coreos.com/", "gateway.networking.k8s.io/"];

/// Helm's arguments for each example, and none for the defaults.
pub fn modes() -> Vec<Vec<String>> {
    let files = names();
    let with_values = files
        .into_iter()
        .map(|name| vec!["--values".to_owned(), format!("{CHART}/ci/{name}")]);
    std::iter::once(Vec::new()).chain(with_values).collect()
}

pub fn as_arguments(mode: &[String]) -> Vec<&str> {
    mode.iter().map(String::as_str).collect()
}

/// The file names of the examples.
fn names() -> Vec<String> {
    let folder = std::fs::read_dir(root().join(CHART).join("ci")).unwrap();
    let mut names: Vec<_> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_example_is_described_and_has_the_name_that_chart_testing_expects() {
    let readme = read(&format!("{CHART}/README.md"));
    let names = names();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(name.ends_with("-values.yaml"), "{name}");
        assert!(
            readme.contains(&format!("(ci/{name})")),
            "README.md does not link ci/{name}"
        );
        let text = read(&format!("{CHART}/ci/{name}"));
        assert!(
            text.starts_with("# "),
            "ci/{name} must begin with a comment that says what it shows"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_lints_without_warnings() {
    for mode in modes() {
        let output = helm(&[&["lint", "--strict", CHART], &as_arguments(&mode)[..]].concat()).await;
        assert!(
            !output.contains("[WARNING]") && !output.contains("[ERROR]"),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_every_example() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    for mode in modes() {
        let mut objects = render("tarana-operator", &env.namespace, &as_arguments(&mode))
            .await
            .unwrap();
        objects.retain(|object| {
            let version = object["apiVersion"].as_str().unwrap();
            !FOREIGN.iter().any(|group| version.starts_with(group))
        });
        let kinds: Vec<_> = objects.iter().map(|object| &object["kind"]).collect();
        assert!(kinds.iter().any(|kind| **kind == "Deployment"), "{kinds:?}");
        let applied = dry_run(&objects)
            .await
            .unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        assert_eq!(applied.lines().count(), objects.len(), "{mode:?}: {applied}");
    }
}

/// Names of the connections and schedules in the namespace that are not being deleted.
async fn kept(env: &TestEnvironment) -> Vec<String> {
    let arguments = ["get", "tconn,tss", "--namespace", &env.namespace, "-o", "json"];
    let kubectl = servers::plane().await.kubectl();
    let list: Value = serde_json::from_str(&kubectl.run(&arguments).await.unwrap()).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["metadata"]["deletionTimestamp"].is_null())
        .map(|item| {
            let name = item["metadata"]["name"].as_str().unwrap();
            format!("{}/{name}", item["kind"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_with_a_connection_is_installed_and_its_connection_and_schedule_survive_it() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let both = ["TaranaConnection/default", "TaranaSyncSchedule/nightly"];
    let values = format!("{CHART}/ci/connection-values.yaml");
    let in_namespace = ["--namespace", env.namespace.as_str()];
    let with_values = ["--skip-crds", "--values", &values];
    let release = async |verb: &str, arguments: &[&str]| {
        helm(&[&[verb, "op", CHART], &in_namespace[..], &with_values, arguments].concat()).await
    };
    release("install", &["--dry-run=server"]).await;
    assert_eq!(kept(&env).await, [] as [&str; 0], "a dry run stores nothing");
    // The kinds exist, so that Helm can create the objects. The pods never run, because no node exists.
    release("install", &[]).await;
    assert_eq!(kept(&env).await, both);
    release("upgrade", &["--set", "schedule.enabled=false"]).await;
    assert_eq!(kept(&env).await, both, "an upgrade does not delete the schedule");
    release("upgrade", &["--set", "connection.spec.suspend=true"]).await;
    let connection = env.connections().get("default").await.unwrap();
    assert!(connection.spec.suspend, "an upgrade changes the connection");
    helm(&[&["uninstall", "op", "--no-hooks"], &in_namespace[..]].concat()).await;
    assert_eq!(
        kept(&env).await,
        both,
        "the connection and the schedule survive the release"
    );
    // A release of the same name takes them over.
    release("install", &[]).await;
    let connection = env.connections().get("default").await.unwrap();
    assert!(
        !connection.spec.suspend,
        "the new release has changed the connection"
    );
    helm(&[&["uninstall", "op", "--no-hooks"], &in_namespace[..]].concat()).await;
}
