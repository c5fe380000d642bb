//! The binary: parses the command line and runs the command.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tarana_operator::cli::{Cli, Command, Crds, Migrate, Preview, Run};
use tarana_operator::cluster::Cluster;
use tarana_operator::metrics::Metrics;
use tarana_operator::{admin, api, cli, cron, operator, store, telemetry};

fn main() -> ExitCode {
    if let Err(error) = cli::restart_without_postgres_variables() {
        eprintln!("tarana-operator: the PG* variables cannot be dropped: {error}; unset them");
        return ExitCode::FAILURE;
    }
    run_command()
}

#[tokio::main]
async fn run_command() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli).await {
        Ok(()) => ExitCode::SUCCESS,
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

async fn execute(cli: Cli) -> Result<(), Box<dyn Error>> {
    telemetry::start(&cli.log, cli.log_format)?;
    // One TLS provider for all clients. It fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Run(flags) => Box::pin(run(&flags)).await,
        Command::Crds(flags) => crds(&flags),
        Command::Preview(flags) => preview(&flags),
        Command::Openapi => openapi(),
        Command::Migrate(flags) => migrate(flags).await,
    }
}

async fn run(flags: &Run) -> Result<(), Box<dyn Error>> {
    let mut config = kube::Config::infer()
        .await
        .map_err(|e| format!("no Kubernetes configuration found: {e}; set KUBECONFIG or run in a pod"))?;
    // Identifies the operator in the audit log of the API server.
    let user_agent = concat!("tarana-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push(("user-agent".parse()?, user_agent.parse()?));
    let (timeout, metrics) = (
        Duration::from_secs(flags.kubernetes_timeout_seconds),
        Metrics::default(),
    );
    let cluster = Cluster::new(config, timeout, metrics.kubernetes.clone())?;
    let config = operator::Config::from_flags(flags, cluster.controllers.default_namespace(), metrics)?;
    Ok(operator::run(cluster, config).await?)
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
