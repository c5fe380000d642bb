//! `devenv up`.

use std::path::Path;
use std::time::Duration;

use devenv::{ControlPlane, Error, Postgres, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The operator's kinds.
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");

/// How often it is seen that the servers still run.
const LOOK: Duration = Duration::from_secs(1);

/// Starts everything, prints the exports on standard output, and stays until Ctrl-C or SIGTERM.
pub(crate) async fn up() -> Result<()> {
    let started = async {
        let (plane, postgres) = tokio::try_join!(ControlPlane::start(), Postgres::start())?;
        // SIMULATOR: the one place where it is started; its address is exported below.
        let tcs: Option<String> = None;
        apply_crds(&plane).await?;
        let database = postgres.create_database("tarana").await?;
        Ok::<_, Error>((plane, postgres, database, tcs))
    };
    let (plane, postgres, database, tcs) = tokio::select! {
        started = started => started?,
        asked = asked_to_stop() => return asked,
    };
    println!("export KUBECONFIG='{}'", plane.kubeconfig().display());
    println!("export DATABASE_URL='{database}'");
    if let Some(tcs) = tcs {
        println!("export TCS_URL='{tcs}'");
    }
    eprintln!(
        "devenv: all is up; put the lines above into another terminal. Ctrl-C ends it and leaves nothing behind."
    );
    let ended = tokio::select! {
        asked = asked_to_stop() => asked,
        failed = first_failure(&plane, &postgres) => failed,
    };
    // A database in a server that somebody lent us is ours to remove; the rest goes by being dropped.
    postgres.drop_database(&database).await.and(ended)
}

async fn apply_crds(plane: &ControlPlane) -> Result<()> {
    let is_yaml = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "yaml");
    let mut entries = std::fs::read_dir(Path::new(CRDS)).into_iter().flatten().flatten();
    if entries.any(is_yaml) {
        plane
            .kubectl()
            .run(&["apply", "--server-side", "--filename", CRDS])
            .await?;
    }
    Ok(())
}

async fn first_failure(plane: &ControlPlane, postgres: &Postgres) -> Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        plane.check().and_then(|()| postgres.check())?;
    }
}

async fn asked_to_stop() -> Result<()> {
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
