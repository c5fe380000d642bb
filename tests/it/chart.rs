//! The chart: Helm lints it without warnings and renders it for all namespaces and for one, and the API server accepts the
//! manifests.

use std::path::Path;

use tokio::process::Command;

use super::environment::TestEnvironment;
use super::servers;

/// For all namespaces, and for one namespace with another image.
const MODES: [&[&str]; 2] = [
    &[],
    &[
        "--set",
        "watchNamespaces={default}",
        "--set",
        "image.repository=registry.example.com/x",
    ],
];

pub async fn helm(args: &[&str]) -> String {
    let helm = devenv::tools::helm().await.expect("Helm");
    let kubeconfig = servers::plane().await.kubeconfig();
    let run = Command::new(helm)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output();
    let done = run.await.unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "helm {args:?}:\n{out}{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chart_lints_without_warnings() {
    for mode in MODES {
        let output = helm(&[&["lint", "--strict", "charts/tarana-operator"], mode].concat()).await;
        assert!(
            !output.contains("[WARNING]") && !output.contains("[ERROR]"),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendered_manifests_are_accepted() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let kubectl = servers::plane().await.kubectl();
    for mode in MODES {
        let template = [
            "template",
            "tarana-operator",
            "charts/tarana-operator",
            "--namespace",
            env.namespace.as_str(),
        ];
        let rendered = helm(&[&template, mode].concat()).await;
        assert!(rendered.contains("kind: Deployment"), "{rendered}");
        let applied = kubectl
            .run_with(
                &["apply", "--server-side", "--dry-run=server", "-f", "-"],
                &rendered,
            )
            .await;
        assert!(applied.is_ok(), "{mode:?}: {applied:?}");
    }
}
