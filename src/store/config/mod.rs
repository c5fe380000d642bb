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

/// Parses the configuration into the driver's options and the target. No part of the URL or the CA appears in the fault.
pub(super) fn parse(config: &Config) -> Result<(PgConnectOptions, Target), Fault> {
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
        database: url.database,
        schema: schema(&config.schema)?,
    };
    Ok((options, target))
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

/// The statements that begin every transaction of this store. The schema is quoted. `pg_temp` comes last in the search path,
/// so that a temporary table of another client of the same pooled session cannot shadow a table.
///
/// A commit that is reported must survive a crash, so `synchronous_commit = off` is raised to `on`; stricter values stay.
///
/// The other settings release locks: of a wait that takes too long, a slow statement, a client that is idle in the
/// transaction, a closed socket, a host that is unreachable or stops reading (PostgreSQL checks the socket only while it
/// works, and would wait for such a host for hours).
pub(super) fn preamble(target: &Target) -> Arc<str> {
    let schema = target.schema.replace('"', "\"\"");
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         SET LOCAL search_path TO \"{schema}\", pg_temp;
         SET LOCAL lock_timeout TO '5s';
         SET LOCAL statement_timeout TO '30s';
         SET LOCAL idle_in_transaction_session_timeout TO '10s';
         SET LOCAL tcp_keepalives_idle TO 10;
         SET LOCAL tcp_keepalives_interval TO 5;
         SET LOCAL tcp_keepalives_count TO 3;
         SET LOCAL tcp_user_timeout TO '25s';
         SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
         SELECT set_config('client_connection_check_interval', '1s', true)
         WHERE current_setting('client_connection_check_interval', true) IS NOT NULL"
    )
    .into()
}

#[cfg(test)]
mod tests;
