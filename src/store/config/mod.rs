//! Configuration of a store: checks URL and CA from the Secret, and builds the preamble of every transaction.

mod parameters;
mod url;

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use self::parameters::TlsMode;
use self::url::{DatabaseUrl, Host};
use super::error::Target;
use crate::certificates;
use crate::fault::{Fault, Reason};

/// Where the tables are. Contains the password, which `Debug` omits.
#[derive(Clone)]
pub struct Config {
    /// `postgres://user:password@host:port/database`, from the Secret.
    pub url: String,
    /// PEM certificates. If present, TLS is verified against them (`verify-full`), whatever `sslmode` the URL sets.
    pub ca_pem: Option<Vec<u8>>,
    /// `spec.database.schema`.
    pub schema: String,
    /// Whether the store may migrate the schema.
    pub migrate: bool,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("schema", &self.schema)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

/// A configuration that was parsed.
pub(super) struct Parsed {
    /// The driver's options.
    pub options: PgConnectOptions,
    /// The database and the schema.
    pub target: Target,
    /// What distinguishes its sessions from others.
    pub identity: SessionIdentity,
}

/// Everything that is fixed when a session begins. Stores with the same identity may use each other's sessions: only who knows the
/// password, and only a server that was verified in the same way. No `Debug`, because it contains the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionIdentity {
    url: DatabaseUrl,
    ca_pem: Option<Vec<u8>>,
}

/// Parses the configuration. No part of the URL or the CA appears in the fault.
pub(super) fn parse(config: &Config) -> Result<Parsed, Fault> {
    let url = url::parse(config.url.trim()).map_err(|rejected| {
        let (why, remedy) = (rejected.why, rejected.remedy);
        invalid(format!(
            "the URL under spec.database.secretRef.urlKey {why}: {remedy}"
        ))
    })?;
    let mut options = driver_options(&url)?;
    if let Some(pem) = &config.ca_pem {
        let certificates =
            certificates::parse_bundle("spec.database.secretRef.caKey", pem).map_err(invalid)?;
        options = options
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert_from_pem(certificates::to_pem(&certificates));
    }
    let target = Target {
        host: url.host.display_name(),
        port: url.port,
        database: url.database.clone(),
        schema: schema(&config.schema)?,
    };
    let ca_pem = config.ca_pem.clone();
    Ok(Parsed {
        options,
        target,
        identity: SessionIdentity { url, ca_pem },
    })
}

/// Every option is set, because the driver takes its defaults from the environment.
fn driver_options(url: &DatabaseUrl) -> Result<PgConnectOptions, Fault> {
    let options = match &url.options {
        None => PgConnectOptions::new_without_pgpass(),
        Some(options) => with_startup_options(options)?,
    };
    let options = match &url.host {
        Host::Tcp(host) => options.host(host),
        Host::Socket(folder) => options.host("localhost").socket(folder),
    };
    Ok(options
        .port(url.port)
        .username(&url.user)
        // With a password, even an empty one, `~/.pgpass` is not read.
        .password(&url.password)
        .database(&url.database)
        .ssl_mode(ssl_mode(url.tls))
        // PgBouncer rejects a start-up parameter that it does not track, such as extra_float_digits.
        .extra_float_digits(None)
        .application_name("tarana-operator"))
}

/// Poolers read settings of their own from `options`. Only the driver's URL parser accepts any text for it; the setter writes
/// `-c name=value`.
fn with_startup_options(options: &str) -> Result<PgConnectOptions, Fault> {
    let options = utf8_percent_encode(options, NON_ALPHANUMERIC);
    // All other parts are overwritten. Because of the password, `~/.pgpass` is not read.
    format!("postgres://user:password@host/database?options={options}")
        .parse()
        .map_err(|_| {
            invalid(
                "the URL under spec.database.secretRef.urlKey has invalid options: correct or remove them",
            )
        })
}

fn ssl_mode(mode: TlsMode) -> PgSslMode {
    match mode {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Allow => PgSslMode::Allow,
        TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// The host, if connections to it may be in plain text.
pub(super) fn unencrypted_host(options: &PgConnectOptions) -> Option<Arc<str>> {
    let may_be_plain = matches!(
        options.get_ssl_mode(),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
    );
    (may_be_plain && options.get_socket().is_none()).then(|| options.get_host().into())
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(Reason::InvalidConfiguration, message)
}

/// Names that begin with `pg_` are PostgreSQL's own, among them `pg_temp`: other clients of a pooled session can create tables
/// in it. `$user` means the role's own schema even in quotes.
fn schema(name: &str) -> Result<String, Fault> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(invalid(
            "spec.database.schema is not the name of a schema: use 1 to 63 bytes, such as \"public\"",
        ));
    }
    if name.starts_with("pg_") || name == "$user" {
        return Err(invalid(
            "spec.database.schema has a name that PostgreSQL reserves ($user, or pg_ at the beginning): use another schema, such \
             as \"public\"",
        ));
    }
    Ok(name.to_owned())
}

/// The statements that begin every transaction of this store, and what the last one returns: whether the transaction is read-only, and
/// whether the server is a standby. A default of read-only transactions is kept, because providers set it while a disk is full.
///
/// The search path is our schema, then the path of the role itself (not that of other clients of the same pooled session), then
/// `pg_temp`, so that a temporary table of such a client cannot shadow a table. Triggers of an application may use functions that the role finds by its own path, such as those of PostGIS. If one of our
/// tables is missing or our schema is not accessible, the role's path is left out, because it could lead to other tables of the same
/// names. The path is computed without resolving a name by it, hence the prefixes.
///
/// A commit that is reported must survive a crash, so `synchronous_commit = off` is raised to `on`; stricter values stay.
///
/// The other settings release locks: of a wait that takes too long, a slow statement, a client that is idle in the
/// transaction, a closed socket, a host that is unreachable or stops reading (PostgreSQL checks the socket only while it
/// works, and would wait for such a host for hours).
pub(super) fn preamble(target: &Target) -> Arc<str> {
    // As E'…', which means the same whatever `standard_conforming_strings` says.
    let schema = target.schema.replace('\\', r"\\").replace('\'', "''");
    let tables = TABLES.join(",");
    let count = TABLES.len();
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;
         SET LOCAL search_path TO DEFAULT;
         SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', pg_catalog.quote_ident(E'{schema}'), CASE WHEN complete THEN (
                SELECT pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY at)
                FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (name, at)
                WHERE NOT pg_catalog.starts_with(name, 'pg_')) END, 'pg_temp'), true)
         FROM (SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) {count} AS complete
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
               WHERE n.nspname OPERATOR(pg_catalog.=) E'{schema}' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                   AND c.relname OPERATOR(pg_catalog.=) ANY ('{{{tables}}}'::pg_catalog.name[])) ours;
         SET LOCAL lock_timeout TO '5s';
         SET LOCAL statement_timeout TO '30s';
         SET LOCAL idle_in_transaction_session_timeout TO '10s';
         SET LOCAL tcp_keepalives_idle TO 10;
         SET LOCAL tcp_keepalives_interval TO 5;
         SET LOCAL tcp_keepalives_count TO 3;
         SET LOCAL tcp_user_timeout TO '25s';
         SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
         SELECT set_config('client_connection_check_interval', '1s', true)
         WHERE current_setting('client_connection_check_interval', true) IS NOT NULL;
         SELECT current_setting('transaction_read_only')::bool, pg_is_in_recovery()"
    )
    .into()
}

/// The relations whose names our statements use.
const TABLES: [&str; 6] = [
    "tarana_base_stations",
    "tarana_migrations",
    "tarana_sync_change_batches",
    "tarana_sync_changes",
    "tarana_sync_logs",
    "tarana_sync_outbox",
];

#[cfg(test)]
mod tests;
