//! The image that a release consists of: its size, its software bill of materials, and a sync over TLS in a container of it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tarana_operator::api::sync::Phase;
use tarana_operator::fault::Reason;

use super::buildah::Image;
use super::container::{self, Container};
use crate::environment::{TestEnvironment, condition, phase, wait_until};
use crate::expected_table::assert_table_matches_fleet;
use crate::operator_process::OperatorProcess;
use crate::servers;

/// The promised size of all files, uncompressed, in bytes.
const MAX_SIZE: u64 = 26_000_000;

#[test]
#[ignore = "long: make test-long"]
fn the_image_is_small_and_states_its_dependencies() {
    let files = container::built_files();
    let path = |name: &str| files.join(name);
    let all = [
        "usr/local/bin/tarana-operator",
        "usr/share/sbom/tarana-operator.cdx.json",
        "etc/ssl/certs/ca-certificates.crt",
    ];
    let size: u64 = all
        .iter()
        .map(|name| fs::metadata(path(name)).unwrap().len())
        .sum();
    println!("image: {size} bytes");
    assert!(
        size < MAX_SIZE,
        "the image has {size} bytes, {MAX_SIZE} are allowed"
    );

    let sbom: Value = serde_json::from_slice(&fs::read(path(all[1])).unwrap()).unwrap();
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    assert_eq!(sbom["metadata"]["component"]["name"], "tarana-operator");
    let components = sbom["components"].as_array().unwrap();
    let names: Vec<&str> = components
        .iter()
        .filter_map(|component| component["name"].as_str())
        .collect();
    for linked in ["kube", "sqlx", "rustls", "mimalloc"] {
        assert!(names.contains(&linked), "the SBOM has no {linked}");
    }
    // The name of the section that `cargo auditable` adds.
    let binary = fs::read(path(all[0])).unwrap();
    assert!(
        binary.windows(7).any(|bytes| bytes == b".dep-v0"),
        "the binary does not list its dependencies"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn a_container_syncs_over_tls_as_an_unprivileged_user() {
    let image = Image::build("start", &container::built_files()).await;
    let env = TestEnvironment::bare(servers::tls_tcs()).await;
    // In place of the public authorities, none of which signs the simulator's certificate.
    let container = Container::create(&image, env.tcs.ca_pem()).await;
    let kubeconfig = container.add(servers::plane().await.kubeconfig());
    let mut process = OperatorProcess::start_command(&env, "image", container.command(), &kubeconfig, &[]);
    env.create_secrets_and_connection().await;
    let run = env.run("run", json!({})).await;
    assert_eq!(phase(&run), Phase::Completed, "{}", process.log_text());
    assert_table_matches_fleet(&env).await;

    let program = container::program_of(process.pid()).await;
    let field = |name: &str| container::status_field(program, name);
    assert_eq!(field("Uid"), "65532\t65532\t65532\t65532");
    assert_eq!(field("Gid"), "65532\t65532\t65532\t65532");
    assert_eq!(
        (field("CapEff"), field("NoNewPrivs")),
        ("0".repeat(16), "1".to_owned())
    );
    assert_eq!(field("NSpid").split_whitespace().next_back(), Some("1"));
    assert!(root_is_read_only(program), "the root file system is writable");
    // Its process is the first of its namespace, which the kernel ends only if it handles the signal.
    stop(program);
    assert!(process.ends().await, "{}", process.log_text());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make test-long"]
async fn a_container_trusts_only_the_public_authorities() {
    let image = Image::build("authorities", &container::built_files()).await;
    let env = TestEnvironment::bare(servers::tls_tcs()).await;
    let container = Container::create(&image, None).await;
    let kubeconfig = container.add(servers::plane().await.kubeconfig());
    let process = OperatorProcess::start_command(&env, "image", container.command(), &kubeconfig, &[]);
    env.create_secrets_and_connection().await;
    env.wait_for_connection("default", "has an unknown authority", |connection| {
        let status = connection.status.clone().unwrap_or_default();
        condition(&status.conditions, "Ready").1 == Reason::ApiTlsFailed.to_string()
    })
    .await;
    let program = container::program_of(process.pid()).await;
    drop(process);
    wait_until("the program ends with its test", || async {
        (!Path::new(&format!("/proc/{program}")).exists()).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "long: make test-long"]
async fn the_image_knows_the_time_zones() {
    let image = Image::build("zones", &container::built_files()).await;
    let container = image.container().await;
    let arguments = [
        "run",
        "--isolation",
        "chroot",
        &container,
        "/usr/local/bin/tarana-operator",
    ];
    let preview = [
        "preview",
        "0 3 * * *",
        "--time-zone",
        "Australia/Lord_Howe",
        "--count",
        "1",
    ];
    let after = ["--after", "2026-07-01T00:00:00Z"];
    let printed = image.buildah(&[&arguments[..], &preview, &after].concat()).await;
    // 03:00 at an offset of 10 hours and 30 minutes.
    assert!(printed.contains("T16:30:00Z"), "{printed}");
}

/// Whether the process sees its root mounted read-only.
fn root_is_read_only(pid: u32) -> bool {
    let mounts = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("mountinfo")).unwrap();
    mounts.lines().any(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        fields[4] == "/" && fields[5].split(',').any(|option| option == "ro")
    })
}

fn stop(pid: u32) {
    let sent = std::process::Command::new("kill")
        .arg(pid.to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}
