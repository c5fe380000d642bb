//! `devenv demo`: shows the operator from an empty cluster to a refused login, with the commands that a user types.
//!
//! Every command is run as shown and its result is checked: the demo fails when a result is unexpected.

mod check;
mod next_steps;
mod session_key;
mod shell;
mod steps;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devenv::simulator::{self, Simulator};
use devenv::{ControlPlane, Error, Operator, Postgres, Result, free_port, tools};

use crate::up::wait_for_shutdown_signal;
use shell::{Shell, print_paragraph};

/// How often the servers and the operator are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The servers and programs of the demo.
struct Environment {
    plane: ControlPlane,
    postgres: Postgres,
    database: String,
    tcs: Simulator,
    shell: Shell,
    program: PathBuf,
    log: PathBuf,
    /// Where the operator serves its admin API.
    api_address: String,
}

/// Runs all steps, then waits for Ctrl-C unless `once` is set.
pub(crate) async fn demo(once: bool) -> Result<()> {
    let began = Instant::now();
    let finished = tokio::select! {
        finished = run_steps(began) => finished?,
        signalled = wait_for_shutdown_signal() => return signalled,
    };
    let (environment, summary) = finished;
    let result = if once {
        Ok(())
    } else {
        next_steps::print_next_steps(&environment, &summary);
        tokio::select! {
            signalled = wait_for_shutdown_signal() => signalled,
            failure = wait_for_failure(&environment, &summary.operator) => failure,
        }
    };
    drop(summary);
    // The server may be an external one, so drop the database. Everything else is removed on drop.
    environment
        .postgres
        .drop_database(&environment.database)
        .await
        .and(result)
}

async fn run_steps(began: Instant) -> Result<(Environment, steps::Summary)> {
    let environment = start_environment().await?;
    println!(
        "Ready after {:.1} s. Every command below is run as it is printed.",
        began.elapsed().as_secs_f64()
    );
    let summary = steps::run(&environment).await?;
    summary.operator.check_running()?;
    check::no_request_forbidden(&environment.plane)?;
    print_paragraph(&format!(
        "All results are as expected, {:.0} s after the start.",
        began.elapsed().as_secs_f64()
    ));
    Ok((environment, summary))
}

/// Starts the servers and prepares the shell.
async fn start_environment() -> Result<Environment> {
    let program = operator_program()?;
    let log = log_file(&program)?;
    println!("Starting a Kubernetes control plane, PostgreSQL and a simulator of TCS ...");
    let (plane, postgres, helm) = tokio::try_join!(ControlPlane::start(), Postgres::start(), tools::helm())?;
    let database = postgres.create_database("tarana").await?;
    let tcs = Simulator::start(simulator::Config::default())
        .await
        .map_err(|source| Error::Io {
            what: "start the simulator".to_owned(),
            source,
        })?;
    let api_address = format!("127.0.0.1:{}", free_port()?);
    let folder = |program: &Path| program.parent().unwrap_or(Path::new(".")).display().to_string();
    let exports = vec![
        ("KUBECONFIG", plane.kubeconfig().display().to_string()),
        // kubectl's cache is keyed by address, and another cluster may later get the same port.
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
        ("API_URL", format!("http://{api_address}")),
        ("PSQL_PAGER", "cat".to_owned()),
    ];
    let path = [&plane.tools().kubectl, &helm, &program]
        .map(|program| folder(program))
        .join(":");
    Ok(Environment {
        shell: Shell::new(exports, path),
        plane,
        postgres,
        database,
        tcs,
        program,
        log,
        api_address,
    })
}

/// The path of the operator that cargo built next to this program.
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
        "{} does not exist: run `make demo`, `make soak` or `cargo build --bin tarana-operator` to build it",
        program.display()
    )))
}

/// The operator's log in cargo's target folder, where it outlives the demo.
fn log_file(program: &Path) -> Result<PathBuf> {
    let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
    let folder = target.join("demo");
    std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
        what: format!("create {}", folder.display()),
        source,
    })?;
    Ok(folder.join("operator.log"))
}

async fn wait_for_failure(environment: &Environment, operator: &Operator) -> Result<()> {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        environment.plane.check_running()?;
        environment.postgres.check_running()?;
        operator.check_running()?;
    }
}
