//! The command line. Every flag has an environment variable. Nothing else reads the environment.

mod choices;

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use ipnet::IpNet;

pub use self::choices::{AuthMode, ReportFormat};

use crate::admin::Role;
use crate::cluster::WatchSelector;
use crate::store;
use crate::telemetry::Format;

/// Longest retention, a century.
const MAX_DAYS: i64 = 36_500;

/// Keeps a PostgreSQL table of base stations in sync with the Tarana Cloud Suite.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// Log filter: a level, or levels by module such as `info,tarana_operator=debug`.
    #[arg(long, env = "TARANA_LOG", default_value = "info", global = true)]
    pub log: String,
    /// Format of a log line.
    #[arg(long, env = "TARANA_LOG_FORMAT", value_enum, default_value_t = Format::Text, global = true)]
    pub log_format: Format,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator until SIGTERM or Ctrl-C.
    Run(Box<Run>),
    /// Print the custom resource definitions as YAML.
    Crds(Crds),
    /// Print the `OpenAPI` document of the admin API as JSON.
    Openapi,
    /// Print the next slots of a schedule, one per line (RFC 3339, UTC).
    Preview(Preview),
    /// Check configuration, Kubernetes, databases and vendor APIs, and say what to do about each problem. Changes nothing.
    Doctor(Box<Doctor>),
    /// Create or migrate the tables of one database, then exit.
    Migrate(Migrate),
    /// Release the runs that a stopped operator holds, so that they, their namespace and the kinds can be deleted. Deletes nothing.
    Uninstall(Uninstall),
}

/// The names of a repeated flag. An empty environment variable yields an empty name.
pub fn names(values: &[String]) -> Vec<String> {
    values.iter().filter(|name| !name.is_empty()).cloned().collect()
}

/// Flags of `run` and `uninstall` for what the operator watches, and for its Lease.
#[derive(Clone, Debug, Args)]
pub struct Watch {
    /// Watch only this namespace. Can be repeated. Default: all namespaces.
    #[arg(
        long = "watch-namespace",
        env = "TARANA_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub namespaces: Vec<String>,
    /// Watch only connections, runs and schedules whose labels match, such as `shard=a`, so that several operators share the objects of a
    /// namespace. Each operator needs a Lease of its own: see --lease-name. Empty: all.
    #[arg(
        long = "watch-selector",
        env = "TARANA_WATCH_SELECTOR",
        default_value = "",
        value_name = "SELECTOR"
    )]
    pub selector: WatchSelector,
    /// Work only while holding a Lease, so that several replicas can run. `uninstall` waits until nobody holds it; with false, the operator
    /// must have been stopped.
    #[arg(long, env = "TARANA_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of the Lease, and of the `ConfigMap` of the browser sessions that were ended. Default: the namespace of the pod, or of the
    /// current kubeconfig context.
    #[arg(long, env = "TARANA_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of the Lease. Operators with the same Lease are replicas of one another: only one of them works.
    #[arg(
        long,
        env = "TARANA_LEASE_NAME",
        default_value = "tarana-operator",
        value_name = "NAME"
    )]
    pub lease_name: String,
}

/// Flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Flags of what is watched.
    #[command(flatten)]
    pub watch: Watch,
    /// Name of this process in Events and in the Lease, for example the name of the pod. Default: the name of the host with a random
    /// suffix.
    #[arg(long, env = "TARANA_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,
    /// Name of the host, as a container runtime sets it.
    #[arg(long, env = "HOSTNAME", value_name = "NAME", hide = true)]
    pub hostname: Option<String>,
    /// Create and migrate tables when a connection is verified. With false, run `migrate` beforehand.
    #[arg(long, env = "TARANA_MIGRATE", default_value_t = true, action = ArgAction::Set)]
    pub migrate: bool,
    /// Seconds after which a connection is verified again.
    #[arg(long, env = "TARANA_RESYNC_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub resync_seconds: u64,
    /// Most sessions with one database as one user. Connections whose URLs log in in the same way share them.
    #[arg(long, env = "TARANA_DATABASE_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "NUMBER")]
    pub database_connections: u32,
    /// Most runs that read or write at once. Others wait, and namespaces take turns.
    #[arg(long, env = "TARANA_MAX_CONCURRENT_SYNCS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..), value_name = "NUMBER")]
    pub max_concurrent_syncs: u16,
    /// Seconds without a response after which a request to the Kubernetes API fails and is retried later.
    #[arg(long, env = "TARANA_KUBERNETES_TIMEOUT_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub kubernetes_timeout_seconds: u64,
    /// Listen address of metrics and probes, on every replica: /metrics, /healthz and /readyz. Empty: they are not served.
    #[arg(
        long,
        env = "TARANA_METRICS_LISTEN",
        default_value = "[::]:8081",
        value_name = "ADDRESS:PORT"
    )]
    pub metrics_listen: String,
    /// Network of event sinks that are not on the public internet, such as 10.1.0.0/16: events may be sent there, also by plain http. Can be
    /// repeated, or separated by commas. Default: none.
    #[arg(
        long = "sink-allow-cidr",
        env = "TARANA_SINK_ALLOW_CIDRS",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub sink_allow_cidrs: Vec<IpNet>,
    /// Flags of the export of traces.
    #[command(flatten)]
    pub traces: Traces,
    /// Flags of the retention.
    #[command(flatten)]
    pub retention: Retention,
    /// Flags of the admin API.
    #[command(flatten)]
    pub admin: Admin,
}

/// Flags of `uninstall`.
#[derive(Clone, Debug, Args)]
pub struct Uninstall {
    /// Flags of the operator: which runs are released, and its Lease.
    #[command(flatten)]
    pub watch: Watch,
    /// Seconds for which it waits for an operator that still runs.
    #[arg(
        long,
        env = "TARANA_UNINSTALL_WAIT_SECONDS",
        default_value_t = 60,
        value_name = "SECONDS"
    )]
    pub wait_seconds: u64,
}

/// Flags of `run` for traces. The names of the variables are OpenTelemetry's; its other `OTEL_*` variables are respected too.
#[derive(Clone, Debug, Args)]
pub struct Traces {
    /// Collector of traces, such as `http://collector:4318`: one trace for each run is sent to /v1/traces of it, over OTLP as http/protobuf.
    /// Default: no traces.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        value_name = "URL"
    )]
    pub otlp_endpoint: String,
    /// The same with the whole path, instead of --otlp-endpoint.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        default_value = "",
        value_name = "URL"
    )]
    pub otlp_traces_endpoint: String,
    /// Protocol of the export.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_PROTOCOL",
        default_value = "http/protobuf",
        value_parser = ["http/protobuf"],
        value_name = "PROTOCOL"
    )]
    pub otlp_protocol: String,
    /// Export nothing, whatever the other flags say.
    #[arg(long, env = "OTEL_SDK_DISABLED", default_value_t = false, action = ArgAction::Set, hide = true)]
    pub otel_sdk_disabled: bool,
}

impl Traces {
    /// Where traces are sent; `None` if they are not exported.
    pub fn url(&self) -> Option<String> {
        let (base, url) = (self.otlp_endpoint.trim(), self.otlp_traces_endpoint.trim());
        if self.otel_sdk_disabled || (base.is_empty() && url.is_empty()) {
            return None;
        }
        if url.is_empty() {
            return Some(format!("{}/v1/traces", base.trim_end_matches('/')));
        }
        Some(url.to_owned())
    }
}

/// Flags of `doctor`: those of `run`, which say what is checked, and its own.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Check only this connection: its name, or namespace/name. Can be repeated. Default: all connections.
    #[arg(
        long = "connection",
        env = "TARANA_DOCTOR_CONNECTIONS",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub connections: Vec<String>,
    /// Format of the report.
    #[arg(long, env = "TARANA_DOCTOR_OUTPUT", value_enum, default_value_t = ReportFormat::Table)]
    pub output: ReportFormat,
    /// Flags of the operator.
    #[command(flatten)]
    pub run: Run,
}

/// Flags of `run` for how long rows are kept.
#[derive(Clone, Copy, Debug, Args)]
pub struct Retention {
    /// Days after which the log row of a run without changes is deleted. The last success of each connection is kept, and so is a row that
    /// another table refers to. 0: never.
    #[arg(
        long,
        env = "TARANA_LOG_RETENTION_DAYS",
        default_value_t = 90,
        value_parser = clap::value_parser!(i32).range(0..=MAX_DAYS),
        value_name = "DAYS"
    )]
    pub log_retention_days: i32,
    /// Days after which the changes of a run are deleted. Until then its log row is kept too. 0: never.
    #[arg(
        long,
        env = "TARANA_CHANGE_RETENTION_DAYS",
        default_value_t = 180,
        value_parser = clap::value_parser!(i32).range(0..=MAX_DAYS),
        value_name = "DAYS"
    )]
    pub change_retention_days: i32,
    /// Days after which an event of the outbox is deleted, delivered or not. 0: never.
    #[arg(
        long,
        env = "TARANA_OUTBOX_RETENTION_DAYS",
        default_value_t = 7,
        value_parser = clap::value_parser!(i32).range(0..=MAX_DAYS),
        value_name = "DAYS"
    )]
    pub outbox_retention_days: i32,
}

impl Retention {
    /// The days for each table; `None` for ever.
    pub fn days(self) -> store::Retention {
        let days = |days: i32| Some(days).filter(|days| *days > 0);
        store::Retention {
            log_days: days(self.log_retention_days),
            change_days: days(self.change_retention_days),
            outbox_days: days(self.outbox_retention_days),
        }
    }
}

/// Flags of `run` for the admin API.
#[derive(Clone, Debug, Args)]
pub struct Admin {
    /// Listen address of the admin API, on every replica. Empty: the admin API is not served.
    #[arg(
        long = "admin-listen",
        env = "TARANA_ADMIN_LISTEN",
        default_value = "[::]:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: String,
    /// File with the certificate chain (PEM) of the admin API. It is reloaded when it changes. Default: plain HTTP.
    #[arg(
        long = "admin-tls-certificate",
        env = "TARANA_ADMIN_TLS_CERTIFICATE",
        requires = "tls_key",
        value_name = "FILE"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// File with the private key (PEM) of that certificate.
    #[arg(
        id = "tls_key",
        long = "admin-tls-key",
        env = "TARANA_ADMIN_TLS_KEY",
        requires = "tls_certificate",
        value_name = "FILE"
    )]
    pub tls_key: Option<PathBuf>,
    /// Audience of the tokens that the admin API accepts: kubectl create token --audience. A token for it is useless elsewhere. Empty:
    /// the audience of the API server itself.
    #[arg(
        long = "admin-token-audience",
        env = "TARANA_ADMIN_TOKEN_AUDIENCE",
        default_value = "tarana-operator",
        value_name = "AUDIENCE"
    )]
    pub token_audience: String,
    /// File with at least 64 random bytes that encrypt the cookies of browser sessions, the same for all replicas. Default: no browser
    /// sessions.
    #[arg(
        long = "admin-session-key-file",
        env = "TARANA_ADMIN_SESSION_KEY_FILE",
        value_name = "FILE"
    )]
    pub session_key_file: Option<PathBuf>,
    /// Namespace of admin API requests that name none. Default: the namespace of the pod, or of the current kubeconfig context.
    #[arg(
        long = "admin-namespace",
        env = "TARANA_ADMIN_NAMESPACE",
        value_name = "NAMESPACE"
    )]
    pub namespace: Option<String>,
    /// Connection of admin API requests that name none.
    #[arg(
        long = "admin-connection",
        env = "TARANA_ADMIN_CONNECTION",
        default_value = "default",
        value_name = "NAME"
    )]
    pub connection: String,
    /// URL of the Ingress, gateway or proxy in front of the admin API, such as `https://tarana.example.org`: the base of all links. Its path,
    /// if any, must be removed by the proxy. Default: links are relative to the host of the request.
    #[arg(
        long = "admin-public-url",
        env = "TARANA_ADMIN_PUBLIC_URL",
        value_name = "URL"
    )]
    pub public_url: Option<String>,
    /// Origin whose pages may call the admin API with a token, such as `https://app.example.org`. Can be repeated, or separated by commas.
    /// Default: none.
    #[arg(
        long = "admin-cors-origin",
        env = "TARANA_ADMIN_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub cors_origins: Vec<String>,
    /// URL of the tiles behind the map, with {z}, {x} and {y}, such as `https://tiles.example.org/{z}/{x}/{y}.png`: browsers load them from there.
    /// A path is one of the host of the pages. Default: land, lakes and borders, without a tile server.
    #[arg(long, env = "TARANA_MAP_TILE_URL", default_value = "", value_name = "URL")]
    pub map_tile_url: String,
    /// PMTiles file of the tiles behind the map, which the operator serves to signed-in users: images, or vector tiles with the layers of
    /// Protomaps' basemaps. Instead of --map-tile-url.
    #[arg(long, env = "TARANA_MAP_TILE_FILE", value_name = "FILE")]
    pub map_tile_file: Option<PathBuf>,
    /// Whom the map credits for these tiles, as text. Required with --map-tile-url and --map-tile-file.
    #[arg(long, env = "TARANA_MAP_ATTRIBUTION", default_value = "", value_name = "TEXT")]
    pub map_attribution: String,
    /// Who may authenticate callers of the admin API. Can be repeated, or separated by commas.
    #[arg(
        long = "admin-auth",
        env = "TARANA_ADMIN_AUTH",
        value_enum,
        value_delimiter = ',',
        default_value = "kubernetes",
        value_name = "WHO"
    )]
    pub auth: Vec<AuthMode>,
    /// Flags of `--admin-auth supabase`.
    #[command(flatten)]
    pub supabase: Supabase,
}

/// Flags of `run` for callers that Supabase authenticates.
#[derive(Clone, Debug, Args)]
pub struct Supabase {
    /// URL of the Supabase project, for example `https://abcd.supabase.co`. Its tokens are verified with the project's signing keys.
    #[arg(long = "supabase-url", env = "TARANA_SUPABASE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the JWT secret of a legacy project. With it, only tokens that this secret signed (HS256) are accepted.
    #[arg(
        long = "supabase-jwt-secret-file",
        env = "TARANA_SUPABASE_JWT_SECRET_FILE",
        value_name = "FILE"
    )]
    pub jwt_secret_file: Option<PathBuf>,
    /// Audience of the tokens. Default: authenticated.
    #[arg(
        long = "supabase-audience",
        env = "TARANA_SUPABASE_AUDIENCE",
        value_name = "AUDIENCE"
    )]
    pub audience: Option<String>,
    /// What all Supabase users may do in the namespace of --admin-namespace, and nowhere else. Default: viewer.
    #[arg(
        long = "supabase-role",
        env = "TARANA_SUPABASE_ROLE",
        value_enum,
        value_name = "ROLE"
    )]
    pub role: Option<Role>,
}

/// Flags of `crds`.
#[derive(Clone, Debug, Args)]
pub struct Crds {
    /// Write one file per kind to this folder instead of printing them.
    #[arg(long, env = "TARANA_CRDS_DIR", value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// Flags of `preview`.
#[derive(Clone, Debug, Args)]
pub struct Preview {
    /// Cron pattern as in `spec.schedule` of a `TaranaSyncSchedule`: minute, hour, day of month, month, day of week.
    #[arg(value_name = "CRON", allow_hyphen_values = true)]
    pub schedule: String,
    /// Time zone of the pattern: a name of the IANA database.
    #[arg(
        long,
        env = "TARANA_PREVIEW_TIME_ZONE",
        default_value = "Etc/UTC",
        value_name = "ZONE"
    )]
    pub time_zone: String,
    /// Print slots after this time, for example 2026-03-01T00:00:00Z. Default: now.
    #[arg(long, env = "TARANA_PREVIEW_AFTER", value_name = "TIME")]
    pub after: Option<jiff::Timestamp>,
    /// Maximum number of slots. Default: 10, or all if --until is given.
    #[arg(long, env = "TARANA_PREVIEW_COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: Option<u32>,
    /// Print no slots after this time.
    #[arg(long, env = "TARANA_PREVIEW_UNTIL", value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
}

/// Flags of `migrate`.
#[derive(Clone, Args)]
pub struct Migrate {
    /// URL of the database: `postgres://user:password@host:5432/database`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// File with the certificate authority (PEM). With it, TLS is required and the certificate is verified.
    #[arg(long, env = "TARANA_DATABASE_CA", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Schema of the tables. It must exist.
    #[arg(long, env = "TARANA_DATABASE_SCHEMA", default_value = "public")]
    pub schema: String,
}

impl std::fmt::Debug for Migrate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL contains a password.
        f.debug_struct("Migrate")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// Replaces this process by one without `PG*` variables, if there are any. The database driver takes passwords, certificates and
/// settings from them where a URL sets none, and would send them to whatever host a connection names. To remove a variable
/// from a running process is not safe.
///
/// # Errors
/// The program of this process cannot be executed again.
pub fn restart_without_postgres_variables() -> std::io::Result<()> {
    let variables = env::vars_os().map(|(name, _)| name);
    let variables: Vec<OsString> = variables
        .filter(|name| name.as_encoded_bytes().starts_with(b"PG"))
        .collect();
    if variables.is_empty() {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let mut command = std::process::Command::new(env::current_exe()?);
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    for name in variables {
        command.env_remove(name);
    }
    // It returns only if it fails.
    Err(command.exec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_flag_has_an_environment_variable() {
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
