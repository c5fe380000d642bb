//! `devenv up`: starts all servers and prints how to use them.

use std::path::Path;
use std::time::Duration;

use devenv::simulator::{self, Simulator};
use devenv::{ControlPlane, Error, Kubectl, Postgres, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The operator's CRDs.
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");

/// How often the servers are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts all servers, prints the exports to standard output, and runs until Ctrl-C or SIGTERM.
pub(crate) async fn up() -> Result<()> {
    let started = async {
        let (plane, postgres) = tokio::try_join!(ControlPlane::start(), Postgres::start())?;
        let tcs = Simulator::start(simulator::Config::default())
            .await
            .map_err(|source| Error::Io {
                what: "start the simulator".to_owned(),
                source,
            })?;
        apply_crds(&plane).await?;
        let database = postgres.create_database("tarana").await?;
        create_connection(&plane.kubectl(), &database, &tcs).await?;
        Ok::<_, Error>((plane, postgres, database, tcs))
    };
    let (plane, postgres, database, tcs) = tokio::select! {
        started = started => started?,
        signalled = wait_for_shutdown_signal() => return signalled,
    };
    println!("export KUBECONFIG='{}'", plane.kubeconfig().display());
    println!("export DATABASE_URL='{database}'");
    println!("export TCS_URL='{}'", tcs.url());
    println!(
        "export PATH=\"{}:$PATH\"",
        plane.tools().kubectl.parent().unwrap_or(Path::new(".")).display()
    );
    eprintln!(
        "devenv: all servers are running, with a TaranaConnection `default` in namespace default. Paste the lines above into another terminal, then:\n\
         devenv:   cargo run -- run\n\
         devenv:   kubectl create -f - <<< '{{\"apiVersion\":\"tarana.dev/v1alpha1\",\"kind\":\"TaranaSync\",\"metadata\":{{\"generateName\":\"sync-\"}},\"spec\":{{}}}}'\n\
         devenv: Ctrl-C stops all servers and removes their files."
    );
    let result = tokio::select! {
        signalled = wait_for_shutdown_signal() => signalled,
        failed = wait_for_failure(&plane, &postgres) => failed,
    };
    // The server may be an external one, so drop the database. Everything else is removed on drop.
    postgres.drop_database(&database).await.and(result)
}

/// Creates the TaranaConnection `default`, which runs without a `connectionRef` use.
async fn create_connection(kubectl: &Kubectl, database: &str, tcs: &Simulator) -> Result<()> {
    let config = tcs.config();
    let objects = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tcs", "namespace": "default"},
         "stringData": {"username": config.username, "password": config.password}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database", "namespace": "default"},
         "stringData": {"url": database}},
        {"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": "default", "namespace": "default"},
         "spec": {"api": {"url": tcs.url(), "credentialsSecretRef": {"name": "tcs"}}, "database": {"secretRef": {"name": "database"}}}},
    ]});
    kubectl.apply(&objects.to_string()).await.map(drop)
}

async fn apply_crds(plane: &ControlPlane) -> Result<()> {
    let is_yaml = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "yaml");
    let mut entries = std::fs::read_dir(Path::new(CRDS)).into_iter().flatten().flatten();
    if entries.any(is_yaml) {
        plane
            .kubectl()
            .run(&["apply", "--server-side", "--filename", CRDS])
            .await?;
        plane
            .kubectl()
            .run(&["wait", "--for=condition=Established", "--filename", CRDS])
            .await?;
    }
    Ok(())
}

async fn wait_for_failure(plane: &ControlPlane, postgres: &Postgres) -> Result<()> {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        plane.check_running().and_then(|()| postgres.check_running())?;
    }
}

/// Returns on SIGINT or SIGTERM.
pub(crate) async fn wait_for_shutdown_signal() -> Result<()> {
    let listen = |kind| {
        signal(kind).map_err(|source| Error::Io {
            what: "listen for signals".into(),
            source,
        })
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
