//! The chart: Helm lints it without warnings and renders it for all namespaces and for one, and the API server accepts the
//! manifests.

use std::path::Path;

use tokio::process::Command;

use super::environment::TestEnvironment;
use super::servers;

/// For all namespaces, with an Ingress, for one namespace with another image, with Supabase users in two ways, with a dashboard, and without
/// metrics.
const MODES: [&[&str]; 7] = [
    &[],
    &[
        "--set",
        "admin.ingress.enabled=true,admin.ingress.host=sync.example.com,admin.ingress.tlsSecretName=sync",
        "--set",
        "networkPolicy.from[0].namespaceSelector.matchLabels.role=ingress",
    ],
    &[
        "--set",
        "watchNamespaces={default}",
        "--set",
        "image.repository=registry.example.com/x",
    ],
    &[
        "--set",
        "admin.auth={supabase}",
        "--set",
        "admin.supabase.url=https://abcd.supabase.co",
    ],
    &[
        "--set",
        "admin.auth={kubernetes,supabase}",
        "--set",
        "admin.supabase.url=https://abcd.supabase.co",
        "--set",
        "admin.supabase.jwtSecretName=jwt",
        "--set",
        "admin.tlsSecretName=tls,admin.sessions.secretName=sessions",
        "--set",
        "admin.map.tileFile.path=a.pmtiles,admin.map.tileFile.volume.persistentVolumeClaim.claimName=maps,admin.map.attribution=A",
        "--set",
        "admin.publicUrl=https://tarana.example.org,admin.corsOrigins={https://app.example.org,http://localhost:3000}",
    ],
    &[
        "--set",
        "metrics.dashboard.enabled=true,metrics.dashboard.annotations.grafana_folder=Tarana",
        "--set",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.role=monitoring",
    ],
    &["--set", "metrics.enabled=false"],
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
    // The kinds of the Prometheus Operator are not part of Kubernetes, so that the API server does not know them.
    let monitored: &[&str] = &[
        "--set",
        "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true",
    ];
    for mode in MODES.into_iter().chain([monitored]) {
        let output = helm(&[&["lint", "--strict", "charts/tarana-operator"], mode].concat()).await;
        assert!(
            !output.contains("[WARNING]") && !output.contains("[ERROR]"),
            "{output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_links_to_the_admin_api_are_rendered_as_configured() {
    let render = async |values: &str, template: &str| {
        let template = format!("templates/{template}.yaml");
        let arguments = [
            "template",
            "x",
            "charts/tarana-operator",
            "--set",
            values,
            "--show-only",
            &template,
        ];
        helm(&arguments).await
    };
    // The kinds of the Gateway API are not part of Kubernetes, so that only the text is checked.
    let route = "admin.httpRoute.enabled=true,admin.httpRoute.parentRefs[0].name=gateway,admin.httpRoute.hostnames={sync.example.com}";
    let route = render(route, "httproute").await;
    for line in [
        "    - name: gateway",
        "    - sync.example.com",
        "          port: 80",
    ] {
        assert!(route.lines().any(|l| l == line), "{line}: {route}");
    }
    let encrypted = "admin.tlsSecretName=tls,admin.ingress.enabled=true,admin.ingress.host=sync.example.com";
    let ingress = render(encrypted, "ingress").await;
    assert!(ingress.contains("name: https"), "{ingress}");
    let linked = "admin.publicUrl=https://tarana.example.org,admin.corsOrigins={https://a.org,https://b.org}";
    let linked = render(linked, "deployment").await;
    for value in ["https://tarana.example.org", "https://a.org,https://b.org"] {
        assert!(
            linked.contains(&format!("value: \"{value}\"")),
            "{value}: {linked}"
        );
    }
    let tiles = "admin.map.tileUrl=https://a.org/\\{z\\}/\\{x\\}/\\{y\\},admin.map.attribution=A";
    let tiles = render(tiles, "deployment").await;
    assert!(tiles.contains("value: \"https://a.org/{z}/{x}/{y}\""), "{tiles}");
    let file = "admin.map.tileFile.path=planet.pmtiles,admin.map.tileFile.volume.persistentVolumeClaim.claimName=maps,admin.map.attribution=A";
    let file = render(file, "deployment").await;
    for line in [
        "              value: \"/var/lib/tarana-operator/map/planet.pmtiles\"",
        "              mountPath: /var/lib/tarana-operator/map",
        "            claimName: maps",
    ] {
        assert!(file.lines().any(|l| l == line), "{line}: {file}");
    }
    let closed = render("admin.enabled=false,metrics.enabled=false", "networkpolicy").await;
    assert!(closed.contains("ingress: []"), "{closed}");
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
