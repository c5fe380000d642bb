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
    /// Print the `OpenAPI` document of the admin API, as JSON.
    Openapi,
    /// Print when a schedule is due next, one time a line (RFC 3339, UTC).
    Preview(Preview),
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
    /// Seconds of silence after which a call to the Kubernetes API is given up, and tried again later.
    #[arg(long, env = "TARANA_KUBERNETES_TIMEOUT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub kubernetes_timeout_seconds: u64,
    /// The admin API.
    #[command(flatten)]
    pub admin: Admin,
}

/// Flags of `run` that are about the admin API.
#[derive(Clone, Debug, Args)]
pub struct Admin {
    /// Where the admin API is served, on every replica. Empty: nowhere.
    #[arg(
        long = "admin-listen",
        env = "TARANA_ADMIN_LISTEN",
        default_value = "[::]:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: String,
    /// A file with the certificate chain (PEM) of the admin API; it is read anew when it changes. Default: plain HTTP.
    #[arg(
        long = "admin-tls-certificate",
        env = "TARANA_ADMIN_TLS_CERTIFICATE",
        requires = "tls_key",
        value_name = "FILE"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// A file with the key of that certificate (PEM).
    #[arg(
        id = "tls_key",
        long = "admin-tls-key",
        env = "TARANA_ADMIN_TLS_KEY",
        requires = "tls_certificate",
        value_name = "FILE"
    )]
    pub tls_key: Option<PathBuf>,
    /// The namespace that a request of the admin API means if it does not say. Default: the one of the kube config, in a pod its
    /// own.
    #[arg(
        long = "admin-namespace",
        env = "TARANA_ADMIN_NAMESPACE",
        value_name = "NAMESPACE"
    )]
    pub namespace: Option<String>,
    /// The connection that a request of the admin API means if it does not say.
    #[arg(
        long = "admin-connection",
        env = "TARANA_ADMIN_CONNECTION",
        default_value = "default",
        value_name = "NAME"
    )]
    pub connection: String,
}

/// Flags of `crds`.
#[derive(Clone, Debug, Args)]
pub struct Crds {
    /// Write one file for each kind into this folder instead of printing them.
    #[arg(long, env = "TARANA_CRDS_DIR", value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// Flags of `preview`.
#[derive(Clone, Debug, Args)]
pub struct Preview {
    /// Minute, hour, day of month, month, day of week, as in `spec.schedule` of a `TaranaSyncSchedule`.
    #[arg(value_name = "CRON", allow_hyphen_values = true)]
    pub schedule: String,
    /// Whose wall clock it is about: a name of the IANA database.
    #[arg(
        long,
        env = "TARANA_PREVIEW_TIME_ZONE",
        default_value = "Etc/UTC",
        value_name = "ZONE"
    )]
    pub time_zone: String,
    /// Times after this one, for example 2026-03-01T00:00:00Z. Default: now.
    #[arg(long, env = "TARANA_PREVIEW_AFTER", value_name = "TIME")]
    pub after: Option<jiff::Timestamp>,
    /// At most so many.
    #[arg(long, env = "TARANA_PREVIEW_COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// None later than this.
    #[arg(long, env = "TARANA_PREVIEW_UNTIL", value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
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
                .filter(|a| !a.is_positional() && !["help", "version"].contains(&a.get_id().as_str()))
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
