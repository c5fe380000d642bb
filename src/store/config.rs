//! What a store is told, and how the URL of a Secret is read.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::error::Target;
use crate::fault::{Fault, Reason};

/// Where the tables are. Holds the password: its `Debug` says nothing.
#[derive(Clone)]
pub struct Config {
    /// `postgres://user:password@host:port/database`, from the Secret.
    pub url: String,
    /// PEM certificates; with them the server must prove its name (`verify-full`), whatever the URL says.
    pub ca_pem: Option<Vec<u8>>,
    /// `spec.database.schema`.
    pub schema: String,
    /// Whether the store may bring the schema up to date by itself.
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

/// Parameters of a URL that are handed to the driver. It would log the values of those that it does not know (poolers
/// and other drivers have their own), and read files for some that it does.
const PARAMETERS: [&str; 9] = [
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

/// The driver's options and the name of the place. Nothing of the URL gets into the fault.
pub(super) fn read(config: &Config) -> Result<(PgConnectOptions, Target), Fault> {
    let url = known_parameters(config.url.trim());
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(invalid("does not begin with postgres:// or postgresql://"));
    }
    let mut options: PgConnectOptions = url.parse().map_err(|_| invalid("cannot be read"))?;
    let Some(database) = options.get_database().map(str::to_owned) else {
        return Err(invalid("names no database"));
    };
    if let Some(pem) = &config.ca_pem {
        // The driver would take the public authorities alone, and say nothing.
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
    // PgBouncer refuses a start-up parameter that it does not track, and this one is.
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
        .filter(|p| PARAMETERS.contains(&p.split('=').next().unwrap_or_default()))
        .collect();
    if known.is_empty() {
        front.to_owned()
    } else {
        format!("{front}?{}", known.join("&"))
    }
}

/// The statements that begin every transaction of this store. The schema is quoted; the temporary schema comes last,
/// so that no temporary table of another client of the same pooled session can stand in for ours.
///
/// What we say is committed must outlive a crash: a server that is told not to wait for its disk is told to wait for it
/// here (`off` alone; what is stricter than `on` stays).
///
/// The rest are ways to lose a lock: what we do not get, what takes too long, a client that stands still between two
/// statements, one whose socket is closed, one whose host is gone or takes nothing more (PostgreSQL looks at the
/// socket only while it works, and would wait for such a host for hours).
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
    use super::{Config, known_parameters, read};
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
    fn a_bad_url_is_named_by_its_key_and_not_shown() {
        for url in [
            "",
            "hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:99999/d",
            "postgres://u:hunter2@h",
        ] {
            let fault = read(&config(url)).map(|_| ()).unwrap_err();
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
    fn parameters_of_other_programs_are_left_out() {
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
    fn what_holds_the_password_does_not_show_it() {
        assert!(!format!("{:?}", config("postgres://u:hunter2@h/d")).contains("hunter2"));
    }
}
