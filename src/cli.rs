//! The command line. Every flag has an environment variable and a default, and nothing else reads the environment.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::telemetry::Format;

/// Keeps a PostgreSQL table of base stations true to the Tarana Cloud Suite.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What is logged: a level, or levels by module such as `info,tarana_operator=debug`.
    #[arg(long, env = "TARANA_LOG", default_value = "info", global = true)]
    pub log: String,
    /// How a log line looks.
    #[arg(long, env = "TARANA_LOG_FORMAT", value_enum, default_value_t = Format::Text, global = true)]
    pub log_format: Format,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator, until SIGTERM or Ctrl-C.
    Run(Run),
    /// Print the custom resource definitions, as YAML.
    Crds(Crds),
    /// Make or change the tables of one database, then end.
    Migrate(Migrate),
}

/// Flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Watch this namespace only; may be given more than once. Default: all namespaces.
    #[arg(
        long = "watch-namespace",
        env = "TARANA_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,
    /// Work only while holding a Lease, so that several replicas may run.
    #[arg(long, env = "TARANA_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of the Lease. Default: the one of the kube config, in a pod its own.
    #[arg(long, env = "TARANA_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of the Lease.
    #[arg(
        long,
        env = "TARANA_LEASE_NAME",
        default_value = "tarana-operator",
        value_name = "NAME"
    )]
    pub lease_name: String,
    /// Name of this process in Events and in the Lease, for example the pod's. Default: a random one.
    #[arg(long, env = "TARANA_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// Make and change tables when a connection is verified. With false, `migrate` does it beforehand.
    #[arg(long, env = "TARANA_MIGRATE", default_value_t = true, action = ArgAction::Set)]
    pub migrate: bool,
    /// Seconds after which a connection is verified again.
    #[arg(long, env = "TARANA_RESYNC_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub resync_seconds: u64,
}

/// Flags of `crds`.
#[derive(Clone, Debug, Args)]
pub struct Crds {
    /// Write one file for each kind into this folder instead of printing them.
    #[arg(long, env = "TARANA_CRDS_DIR", value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// Flags of `migrate`.
#[derive(Clone, Args)]
pub struct Migrate {
    /// URL of the database: `postgres://user:password@host:5432/database`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// A file with the certificate authority (PEM): TLS is required and checked against it.
    #[arg(long, env = "TARANA_DATABASE_CA", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Schema of the tables; it must exist.
    #[arg(long, env = "TARANA_DATABASE_SCHEMA", default_value = "public")]
    pub schema: String,
}

impl std::fmt::Debug for Migrate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("Migrate")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_sound_and_each_has_a_variable() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands().chain([&Cli::command()]) {
            for flag in command
                .get_arguments()
                .filter(|a| !["help", "version"].contains(&a.get_id().as_str()))
            {
                assert!(
                    flag.get_env().is_some(),
                    "{} has no environment variable",
                    flag.get_id()
                );
            }
        }
    }
}
