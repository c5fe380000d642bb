//! `devenv`: a cluster, a database and a TCS for a person who runs the operator from an editor.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use devenv::tools;

mod up;

/// What makes a laptop a cluster.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start control plane, PostgreSQL and simulator, print the exports, and stay up until Ctrl-C
    Up,
    /// Build the control plane's programs and Helm, once per machine, and print their folders as a PATH
    Tools,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up => up::up().await,
        Command::Tools => tools::all().await.map(|folders| {
            println!("{}", folders.map(|folder| folder.display().to_string()).join(":"));
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devenv: {error}");
            ExitCode::FAILURE
        }
    }
}
