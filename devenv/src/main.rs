//! `devenv`: a cluster, a database and a TCS for a person who runs the operator from an editor.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use devenv::tools;

mod demo;
mod endure;
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
    /// Tell the operator's whole story with a person's commands, and stay up until Ctrl-C
    Demo {
        /// End with the story
        #[arg(long)]
        once: bool,
    },
    /// Let the operator work for long beside a fleet that drifts and a world that breaks, and compare every run with the truth
    Soak(endure::SoakArgs),
    /// Build the control plane's programs and Helm, once per machine, and print their folders as a PATH
    Tools,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up => up::up().await,
        Command::Demo { once } => demo::demo(once).await,
        Command::Soak(args) => endure::endure(args).await,
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
