//! The `devenv` program: a cluster, a database and a TCS simulator for developing the operator from an editor.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use devenv::tools;

mod demo;
mod soak_command;
mod up;

/// A local development environment for tarana-operator.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start control plane, PostgreSQL and simulator, print the exports, and run until Ctrl-C
    Up,
    /// Show the operator from installation to failure with a user's commands, and run until Ctrl-C
    Demo {
        /// Exit after the last step
        #[arg(long)]
        once: bool,
    },
    /// Run the operator under drift, faults and kills, and check the table after every run
    Soak(soak_command::SoakArgs),
    /// Build the control plane's programs and Helm, once per machine, and print their folders as a PATH
    Tools,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Up => up::up().await,
        Command::Demo { once } => demo::demo(once).await,
        Command::Soak(args) => soak_command::run_soak(args).await,
        Command::Tools => tools::all().await.map(|folders| {
            println!("{}", folders.map(|folder| folder.display().to_string()).join(":"));
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devenv: {error}");
            ExitCode::FAILURE
        }
    }
}
