//! The binary: reads the command line and hands over.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use tarana_operator::cli::{Cli, Command, Crds, Migrate, Run};
use tarana_operator::{api, operator, store, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tarana-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> Result<(), Box<dyn Error>> {
    telemetry::start(&cli.log, cli.log_format)?;
    // One TLS provider for all three wires; a second call could only fail because it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Run(flags) => run(&flags).await,
        Command::Crds(flags) => crds(&flags),
        Command::Migrate(flags) => migrate(flags).await,
    }
}

async fn run(flags: &Run) -> Result<(), Box<dyn Error>> {
    let mut config = kube::Config::infer()
        .await
        .map_err(|e| format!("no Kubernetes API to talk to: {e}; set KUBECONFIG or run in a pod"))?;
    // So that an audit log tells who it was.
    let agent = concat!("tarana-operator/", env!("CARGO_PKG_VERSION"));
    config.headers.push(("user-agent".parse()?, agent.parse()?));
    let client = kube::Client::try_from(config)?;
    let config = operator::Config::of(flags, client.default_namespace());
    Ok(operator::run(client, config).await?)
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
        println!("the tables are current");
    }
    for migration in applied {
        println!("applied: {migration}");
    }
    Ok(())
}
