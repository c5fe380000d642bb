//! `devenv demo`: the operator's whole story, from an empty cluster to a refused login, told with a person's commands.
//!
//! Everything shown was run just now, and what came out is checked: a story that goes otherwise ends with an error.

mod check;
mod shell;
mod story;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devenv::simulator::{self, Simulator};
use devenv::{ControlPlane, Error, Operator, Postgres, Result, tools};

use crate::up::asked_to_stop;
use shell::{Shell, say};

/// How often it is seen that all still runs.
const LOOK: Duration = Duration::from_secs(1);

/// All that the story needs.
struct Stage {
    plane: ControlPlane,
    postgres: Postgres,
    database: String,
    tcs: Simulator,
    shell: Shell,
    program: PathBuf,
    log: PathBuf,
}

/// Tells the story, and then stays up until Ctrl-C, or not.
pub(crate) async fn demo(once: bool) -> Result<()> {
    let began = Instant::now();
    let told = tokio::select! {
        told = tell(began) => told?,
        asked = asked_to_stop() => return asked,
    };
    let (stage, told) = told;
    let ended = if once {
        Ok(())
    } else {
        story::what_next(&stage, &told);
        tokio::select! {
            asked = asked_to_stop() => asked,
            failed = first_failure(&stage, &told.operator) => failed,
        }
    };
    drop(told);
    // A database in a server that somebody lent us is ours to remove; the rest goes by being dropped.
    stage.postgres.drop_database(&stage.database).await.and(ended)
}

async fn tell(began: Instant) -> Result<(Stage, story::Told)> {
    let stage = set().await?;
    println!(
        "Ready after {:.1} s. Every command below is run as it is printed.",
        began.elapsed().as_secs_f64()
    );
    let told = story::tell(&stage).await?;
    told.operator.check()?;
    check::rights(&stage.plane)?;
    say(&format!(
        "All of this came out as it should, {:.0} s after the start.",
        began.elapsed().as_secs_f64()
    ));
    Ok((stage, told))
}

/// Starts the servers.
async fn set() -> Result<Stage> {
    let program = operator_program()?;
    let log = log_file(&program)?;
    println!("Starting a Kubernetes control plane, PostgreSQL and a simulation of TCS ...");
    let (plane, postgres, helm) = tokio::try_join!(ControlPlane::start(), Postgres::start(), tools::helm())?;
    let database = postgres.create_database("tarana").await?;
    let tcs = Simulator::start(simulator::Config::default())
        .await
        .map_err(|source| Error::Io {
            what: "start the simulator".to_owned(),
            source,
        })?;
    let folder = |program: &Path| program.parent().unwrap_or(Path::new(".")).display().to_string();
    let exports = vec![
        ("KUBECONFIG", plane.kubeconfig().display().to_string()),
        // kubectl's cache goes by address, and addresses come back with other clusters behind them.
        (
            "KUBECACHEDIR",
            plane
                .kubeconfig()
                .with_file_name("kubectl-cache")
                .display()
                .to_string(),
        ),
        ("DATABASE_URL", database.clone()),
        ("TCS_URL", tcs.url().to_owned()),
        ("PSQL_PAGER", "cat".to_owned()),
    ];
    let path = [&plane.tools().kubectl, &helm, &program]
        .map(|program| folder(program))
        .join(":");
    Ok(Stage {
        shell: Shell::new(exports, path),
        plane,
        postgres,
        database,
        tcs,
        program,
        log,
    })
}

/// The operator that cargo built beside this program.
pub(crate) fn operator_program() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|source| Error::Io {
        what: "find this program".to_owned(),
        source,
    })?;
    let program = own.with_file_name("tarana-operator");
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::Missing(format!(
        "there is no {}: `make demo` and `make soak` build it, and so does `cargo build --bin tarana-operator`",
        program.display()
    )))
}

/// In cargo's target folder, where it outlives the demo.
fn log_file(program: &Path) -> Result<PathBuf> {
    let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
    let folder = target.join("demo");
    std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
        what: format!("make {}", folder.display()),
        source,
    })?;
    Ok(folder.join("operator.log"))
}

async fn first_failure(stage: &Stage, operator: &Operator) -> Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        stage.plane.check()?;
        stage.postgres.check()?;
        operator.check()?;
    }
}
