//! The binary: parses the command line and runs the command.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tarana_operator::cli::{Cli, Command, Crds, Doctor, Migrate, Preview, ReportFormat, Run, Uninstall};
use tarana_operator::cluster::Cluster;
use tarana_operator::metrics::Metrics;
use tarana_operator::trace::Exporter;
use tarana_operator::{admin, api, cli, cron, doctor, operator, store, telemetry, uninstall};

/// The image's binary is linked against musl, whose allocator is slow with several threads. This one also returns freed memory to the system.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Timeout of the requests of `uninstall`.
const KUBERNETES_TIMEOUT_SECONDS: u64 = 15;

fn main() -> ExitCode {
    if let Err(error) = cli::restart_without_postgres_variables() {
        eprintln!("tarana-operator: the PG* variables cannot be dropped: {error}; unset them");
        return ExitCode::FAILURE;
    }
    match run_command(Cli::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<cron::InvalidCron>() => {
            eprintln!("tarana-operator: {error}");
            // The exit code of clap for an invalid argument.
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("tarana-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_command(mut cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    // One TLS provider for all clients. It fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = match &mut cli.command {
        Command::Run(flags) => start_export(flags)?,
        _ => None,
    };
    // The report of the doctor has everything that would be logged.
    if !matches!(cli.command, Command::Doctor(_)) {
        telemetry::start(&cli.log, cli.log_format, exporter.as_ref().map(Exporter::tracer))?;
    }
    let result = execute(cli.command);
    // The runtime has ended, and with it every task, so that no span is left open.
    if let Some(exporter) = exporter {
        exporter.shut_down();
    }
    result
}

#[tokio::main]
async fn execute(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Doctor(flags) => return Box::pin(doctor(&flags)).await,
        Command::Run(flags) => Box::pin(run(&flags)).await,
        Command::Crds(flags) => crds(&flags),
        Command::Preview(flags) => preview(&flags),
        Command::Openapi => openapi(),
        Command::Migrate(flags) => migrate(flags).await,
        Command::Uninstall(flags) => uninstall(flags).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Starts the export of traces, if a collector is configured.
fn start_export(flags: &mut Run) -> Result<Option<Exporter>, &'static str> {
    let identity = operator::identity(flags);
    flags.identity = Some(identity.clone());
    let url = flags.traces.url();
    url.map(|url| Exporter::start(&url, &identity)).transpose()
}

async fn run(flags: &Run) -> Result<(), Box<dyn Error>> {
    let metrics = Metrics::default();
    let cluster = cluster(flags.kubernetes_timeout_seconds, &metrics).await?;
    let config = operator::Config::from_flags(flags, cluster.controllers.default_namespace(), metrics)?;
    Ok(operator::run(cluster, config).await?)
}

async fn doctor(flags: &Doctor) -> Result<ExitCode, Box<dyn Error>> {
    let metrics = Metrics::default();
    let cluster = cluster(flags.run.kubernetes_timeout_seconds, &metrics).await?;
    let config = operator::Config::from_flags(&flags.run, cluster.controllers.default_namespace(), metrics);
    let report = doctor::examine(&cluster, config, &flags.connections).await;
    match flags.output {
        ReportFormat::Table => print!("{}", report.table()),
        ReportFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    let code = if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    Ok(code)
}

/// Access to the Kubernetes API, of the pod or of the kubeconfig.
async fn cluster(timeout_seconds: u64, metrics: &Metrics) -> Result<Cluster, Box<dyn Error>> {
    let mut config = kube::Config::infer()
        .await
        .map_err(|e| format!("no Kubernetes configuration found: {e}; set KUBECONFIG or run in a pod"))?;
    // Identifies the operator in the audit log of the API server.
    let user_agent = concat!("tarana-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push(("user-agent".parse()?, user_agent.parse()?));
    let timeout = Duration::from_secs(timeout_seconds);
    Ok(Cluster::new(config, timeout, metrics.kubernetes.clone())?)
}

fn crds(flags: &Crds) -> Result<(), Box<dyn Error>> {
    for (file, yaml) in api::crds()? {
        match &flags.dir {
            Some(dir) => std::fs::write(dir.join(&file), yaml).map_err(|e| format!("{file}: {e}"))?,
            None => print!("---\n{yaml}"),
        }
    }
    Ok(())
}

fn openapi() -> Result<(), Box<dyn Error>> {
    // `Value` sorts the keys, so that the committed document changes only where the routes change.
    println!("{:#}", serde_json::to_value(admin::openapi())?);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the default of --after is now")]
fn preview(flags: &Preview) -> Result<(), Box<dyn Error>> {
    let default_count = flags.until.is_none().then_some(10);
    let count = flags.count.or(default_count);
    let preview = cron::Preview {
        cron: cron::Cron::parse(&flags.schedule, &flags.time_zone)?,
        after: flags.after.unwrap_or_else(jiff::Timestamp::now),
        count: count.map(usize::try_from).transpose()?,
        until: flags.until,
    };
    let mut out = std::io::stdout().lock();
    for line in preview.lines(out.is_terminal()) {
        match writeln!(out, "{line}") {
            // The reader closed the pipe, as `head` does.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(())
}

async fn migrate(flags: Migrate) -> Result<(), Box<dyn Error>> {
    let ca_pem = flags
        .ca_file
        .map(|f| std::fs::read(&f).map_err(|e| format!("{}: {e}", f.display())))
        .transpose()?;
    let config = store::Config {
        url: flags.database_url,
        ca_pem,
        schema: flags.schema,
        migrate: true,
    };
    let applied = store::Store::new(&config)?.migrate().await?;
    if applied.is_empty() {
        println!("the tables are up to date");
    }
    for migration in applied {
        println!("applied: {migration}");
    }
    Ok(())
}

async fn uninstall(flags: Uninstall) -> Result<(), Box<dyn Error>> {
    let client = cluster(KUBERNETES_TIMEOUT_SECONDS, &Metrics::default())
        .await?
        .controllers;
    let watch = flags.watch;
    let namespace = watch.lease_namespace;
    let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let uninstall = uninstall::Uninstall {
        namespaces: cli::names(&watch.namespaces),
        selector: watch.selector,
        lease: watch.leader_elect.then_some((namespace, watch.lease_name)),
        patience: Duration::from_secs(flags.wait_seconds),
    };
    let released = uninstall.run(&client).await?;
    for run in &released.runs {
        println!("released TaranaSync {run}");
    }
    println!(
        "{} of {} runs were held and are released",
        released.runs.len(),
        released.total
    );
    Ok(())
}
