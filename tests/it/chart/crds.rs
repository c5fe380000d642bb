//! The chart of the CRDs: it renders the generated files, and both charts can be packaged.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::environment::wait_until;

use super::{CHART, CRD_CHART, helm, objects_of, read, root, run_helm, servers};

/// The generated CRDs, in the order of their files.
pub fn generated() -> Vec<Value> {
    let folder = std::fs::read_dir(root().join("crds")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    files
        .iter()
        .map(|path| serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

/// The value with all numbers as floats: Helm writes 1.0 as 1.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(with_floats).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), with_floats(value)))
            .collect(),
        other => other.clone(),
    }
}

async fn render(chart: &str, arguments: &[&str]) -> Vec<Value> {
    objects_of(&helm(&[&["template", "crds", chart], arguments].concat()).await)
}

/// Packages a chart. Returns the path of the package, in a folder of its own.
async fn package(chart: &str) -> String {
    let folder = root()
        .join(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("charts-{}", std::process::id()));
    let printed = helm(&["package", chart, "--destination", folder.to_str().unwrap()]).await;
    printed.trim().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_renders_every_generated_crd_and_the_api_server_accepts_it() {
    let rendered = render(CRD_CHART, &[]).await;
    let generated = generated();
    assert_eq!(rendered.len(), generated.len());
    for (rendered, generated) in rendered.iter().zip(&generated) {
        assert_eq!(with_floats(&rendered["spec"]), with_floats(&generated["spec"]));
        assert_eq!(rendered["metadata"]["name"], generated["metadata"]["name"]);
        assert_eq!(
            rendered["metadata"]["annotations"],
            json!({"helm.sh/resource-policy": "keep"})
        );
        assert_eq!(
            rendered["metadata"]["labels"]["app.kubernetes.io/instance"],
            "crds"
        );
    }
    // The fields belong to whoever installed the CRDs of the test.
    let list = json!({"apiVersion": "v1", "kind": "List", "items": rendered});
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        "-",
    ];
    let kubectl = servers::plane().await.kubectl();
    let applied = kubectl.run_with(&arguments, &list.to_string()).await.unwrap();
    assert_eq!(applied.lines().count(), generated.len(), "{applied}");
    for crd in render(CRD_CHART, &["--set", "keep=false"]).await {
        assert!(crd["metadata"]["annotations"].is_null(), "{crd:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packages_render_the_same_as_the_folders() {
    let crds = package(CRD_CHART).await;
    assert_eq!(render(&crds, &[]).await, render(CRD_CHART, &[]).await);
    let chart = package(CHART).await;
    for arguments in [
        &[][..],
        &["--include-crds"],
        &[
            "--set",
            "metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true",
        ],
    ] {
        assert_eq!(
            render(&chart, arguments).await,
            render(CHART, arguments).await,
            "{arguments:?}"
        );
    }
    let with_crds = render(&chart, &["--include-crds"]).await;
    for crd in generated() {
        assert!(
            with_crds.contains(&crd),
            "the package lacks {}",
            crd["metadata"]["name"]
        );
    }
    for (package, folder) in [(crds, CRD_CHART), (chart, CHART)] {
        let listed = tokio::process::Command::new("tar")
            .args(["tzf", &package])
            .output()
            .await
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let name = folder.rsplit('/').next().unwrap();
        assert!(
            listed.lines().any(|line| line == format!("{name}/README.md")),
            "{listed}"
        );
        for excluded in ["/ci/", "/files/README.md", "/crds/README.md"] {
            assert!(!listed.contains(excluded), "{excluded}: {listed}");
        }
        std::fs::remove_file(package).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_of_the_crds_lints_and_is_a_link_with_the_version_of_the_binary() {
    let output = helm(&["lint", "--strict", CRD_CHART]).await;
    assert!(
        !output.contains("[WARNING]") && !output.contains("[ERROR]"),
        "{output}"
    );
    let target = root().join(CRD_CHART).join("files").read_link().unwrap();
    assert_eq!(
        target.to_str(),
        Some("../../crds"),
        "there is one copy of the CRDs"
    );
    let chart = read(&format!("{CRD_CHART}/Chart.yaml"));
    for field in ["version", "appVersion"] {
        let line = format!("\n{field}: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(chart.contains(&line), "{}", line.trim());
    }
    let rejected = run_helm(&["template", "crds", CRD_CHART, "--set", "kept=true"]).await;
    assert!(rejected.unwrap_err().contains("'kept'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_crds_become_part_of_a_release_and_survive_it() {
    // On a control plane of its own: the release owns the CRDs.
    let plane = devenv::ControlPlane::start().await.unwrap();
    let kubeconfig = plane.kubeconfig().to_str().unwrap().to_owned();
    servers::install_crds(&plane).await;
    let with = ["--kubeconfig", kubeconfig.as_str()];
    let install = ["install", "crds", CRD_CHART];
    let owned = run_helm(&[&install[..], &with].concat()).await.unwrap_err();
    assert!(
        owned.contains("ownership") || owned.contains("conflict"),
        "{owned}"
    );
    helm(&[&install[..], &["--take-ownership", "--force-conflicts"], &with].concat()).await;
    helm(&[&["uninstall", "crds"], &with[..]].concat()).await;
    let names = plane.kubectl().run(&["get", "crds", "-o", "name"]).await.unwrap();
    for crd in generated() {
        let name = crd["metadata"]["name"].as_str().unwrap();
        assert!(names.contains(&format!("/{name}")), "{names}");
    }
    // Without the value, Helm deletes them.
    helm(&[&install[..], &["--take-ownership", "--set", "keep=false"], &with].concat()).await;
    helm(&[&["uninstall", "crds"], &with[..]].concat()).await;
    wait_until("the CRDs are deleted", || async {
        let names = plane.kubectl().run(&["get", "crds", "-o", "name"]).await.unwrap();
        (!names.contains("tarana.dev")).then_some(())
    })
    .await;
}
