//! Configuration of a store: parses the URL from the Secret and builds the preamble of every transaction.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::error::Target;
use crate::fault::{Fault, Reason};

/// Where the tables are. Contains the password, which `Debug` omits.
#[derive(Clone)]
pub struct Config {
    /// `postgres://user:password@host:port/database`, from the Secret.
    pub url: String,
    /// PEM certificates. If present, TLS is verified against them (`verify-full`), whatever the URL says.
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

/// URL parameters that are passed to the driver. It would log the values of unknown parameters (poolers and other drivers
/// have their own), and read files for some known ones.
const ALLOWED_PARAMETERS: [&str; 9] = [
    "sslmode",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Parses the URL into the driver's options and the target. No part of the URL appears in the fault.
pub(super) fn parse(config: &Config) -> Result<(PgConnectOptions, Target), Fault> {
    let url = known_parameters(config.url.trim());
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(invalid("does not begin with postgres:// or postgresql://"));
    }
    let mut options: PgConnectOptions = url.parse().map_err(|_| invalid("cannot be read"))?;
    let Some(database) = options.get_database().map(str::to_owned) else {
        return Err(invalid("names no database"));
    };
    if let Some(pem) = &config.ca_pem {
        // The driver would silently fall back on the public authorities.
        if !pem.windows(CERTIFICATE.len()).any(|bytes| bytes == CERTIFICATE) {
            let message = "the value under spec.database.secretRef.caKey holds no certificate: it must be PEM, \
                           -----BEGIN CERTIFICATE----- and so on";
            return Err(Fault::new(Reason::InvalidConfiguration, message));
        }
        options = options
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert_from_pem(pem.clone());
    }
    let target = Target {
        host: options
            .get_socket()
            .map_or_else(|| options.get_host().to_owned(), |s| s.display().to_string()),
        port: options.get_port(),
        database,
        schema: schema(&config.schema)?,
    };
    // PgBouncer rejects a start-up parameter that it does not track, such as extra_float_digits.
    Ok((
        options
            .extra_float_digits(None)
            .application_name("tarana-operator"),
        target,
    ))
}

fn invalid(why: &str) -> Fault {
    let form = "postgres://user:password@host:5432/database, with special characters percent-encoded";
    let message = format!("the URL under spec.database.secretRef.urlKey {why}; it should read {form}");
    Fault::new(Reason::InvalidConfiguration, message)
}

fn schema(name: &str) -> Result<String, Fault> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        let message =
            "spec.database.schema is not the name of a schema: use 1 to 63 bytes, such as \"public\"";
        return Err(Fault::new(Reason::InvalidConfiguration, message));
    }
    Ok(name.to_owned())
}

fn known_parameters(url: &str) -> String {
    let Some((front, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let known: Vec<&str> = query
        .split('&')
        .filter(|p| ALLOWED_PARAMETERS.contains(&p.split('=').next().unwrap_or_default()))
        .collect();
    if known.is_empty() {
        front.to_owned()
    } else {
        format!("{front}?{}", known.join("&"))
    }
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
mod tests {
    use super::{Config, known_parameters, parse};
    use crate::fault::Reason;

    fn config(url: &str) -> Config {
        Config {
            url: url.into(),
            ca_pem: None,
            schema: "public".into(),
            migrate: true,
        }
    }

    #[test]
    fn an_invalid_url_is_named_by_its_key_and_not_shown() {
        for url in [
            "",
            "hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:99999/d",
            "postgres://u:hunter2@h",
        ] {
            let fault = parse(&config(url)).map(|_| ()).unwrap_err();
            assert_eq!(fault.reason, Reason::InvalidConfiguration);
            assert!(
                fault.message.contains("spec.database.secretRef.urlKey"),
                "{}",
                fault.message
            );
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }

    #[test]
    fn unknown_parameters_are_dropped() {
        assert_eq!(
            known_parameters("postgres://h/d?pgbouncer=true&sslmode=require"),
            "postgres://h/d?sslmode=require"
        );
        assert_eq!(
            known_parameters("postgres://h/d?sslkey=/etc/shadow"),
            "postgres://h/d"
        );
    }

    #[test]
    fn debug_omits_the_password() {
        assert!(!format!("{:?}", config("postgres://u:hunter2@h/d")).contains("hunter2"));
    }
}
