//! The chart, by Helm itself and by the API server: it lints without a warning, renders for all namespaces and for some,
//! and what it renders is accepted.

use std::path::Path;

use tokio::process::Command;

use super::servers;
use super::world::World;

/// For all namespaces, and for one with an image of one's own.
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
async fn it_lints_without_a_warning() {
    for mode in MODES {
        let said = helm(&[&["lint", "--strict", "charts/tarana-operator"], mode].concat()).await;
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_renders_is_accepted() {
    let w = World::bare(servers::tcs()).await;
    let kubectl = servers::plane().await.kubectl();
    for mode in MODES {
        let template = [
            "template",
            "tarana-operator",
            "charts/tarana-operator",
            "--namespace",
            w.namespace.as_str(),
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
