//! Maps errors of the database to faults, in one place.
//!
//! Contract: a message names the server, the database and the remedy. It never contains the URL, the user or the password;
//! the server's message is omitted where it could repeat one of them.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::postgres::PgRow;

use crate::fault::{Fault, Reason};

/// The database, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Host name, address or socket directory.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// `spec.database.schema`.
    pub schema: String,
}

impl Target {
    /// `database "x" at host:port`.
    pub fn display_name(&self) -> String {
        format!("database {:?} at {}:{}", self.database, self.host, self.port)
    }

    /// Decodes all rows.
    pub fn decode<T>(
        self: &Arc<Self>,
        rows: &[PgRow],
        read: impl Fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, DbError> {
        let decoded: Result<_, sqlx::Error> = rows.iter().map(read).collect();
        decoded.map_err(|e| DbError::new(self, e))
    }
}

/// An error of the driver and the database that it concerns. Converts into a [`Fault`] by `?`.
#[derive(Debug)]
pub(super) struct DbError {
    target: Arc<Target>,
    source: sqlx::Error,
    in_preamble: bool,
}

impl DbError {
    pub fn new(target: &Arc<Target>, source: sqlx::Error) -> Self {
        Self {
            target: Arc::clone(target),
            source,
            in_preamble: false,
        }
    }

    /// Marks an error of the preamble. A standby rejects `READ WRITE` there with a code that has another meaning elsewhere.
    pub fn in_preamble(self) -> Self {
        Self {
            in_preamble: true,
            ..self
        }
    }

    /// The SQLSTATE, if the server sent one.
    pub fn code(&self) -> Option<Cow<'_, str>> {
        self.source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
    }

    /// Whether the server sent this SQLSTATE.
    pub fn has_code(&self, code: &str) -> bool {
        self.code().is_some_and(|c| c == code)
    }

    /// Name of the violated constraint.
    pub fn constraint(&self) -> Option<&str> {
        self.source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::constraint)
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        let place = error.target.display_name();
        match &error.source {
            sqlx::Error::Database(e) => {
                let code = e.code().unwrap_or_default();
                let code = if error.in_preamble && code == "0A000" {
                    READ_ONLY
                } else {
                    &code
                };
                from_server(&error.target, code, e.message())
            }
            sqlx::Error::Tls(e) if e.to_string().contains("does not support TLS") => {
                let remedy = "sslmode in the URL or spec.database.secretRef.caKey requires TLS: turn TLS on there, or \
                              remove what requires it";
                tls(&place, e, remedy)
            }
            sqlx::Error::Tls(e) => tls(&place, e, AUTHORITY),
            sqlx::Error::Io(e) => match e
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(refused) => tls(&place, refused, tls_remedy(refused)),
                None => unreachable(&place, &e.to_string(), CHECK_REACHABLE),
            },
            // The driver names the character of user or password that SASLprep prohibits.
            sqlx::Error::Configuration(_) => Self::new(
                Reason::InvalidConfiguration,
                format!(
                    "{place}: user or password in the URL under spec.database.secretRef.urlKey has a character that SCRAM prohibits; \
                     give the role a password without control characters"
                ),
            ),
            sqlx::Error::PoolTimedOut => unreachable(
                &place,
                "no connection in time: none could be made, or all are in use",
                CHECK_REACHABLE,
            ),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                unreachable(&place, "the pool was closed", CHECK_REACHABLE)
            }
            sqlx::Error::Protocol(what) => {
                unreachable(&place, &format!("unexpected answer: {what}"), CHECK_REACHABLE)
            }
            other => Self::new(Reason::DatabaseError, format!("{place}: {other}")),
        }
    }
}

const AUTHORITY: &str = "spec.database.secretRef.caKey must name the key whose value holds the authority that signed the \
                         server's certificate";

fn tls(place: &str, why: &dyn std::fmt::Display, remedy: &str) -> Fault {
    Fault::new(
        Reason::DatabaseTlsFailed,
        format!("{place}: TLS failed: {why}; {remedy}"),
    )
}

/// The remedy for a TLS handshake that this client aborted.
fn tls_remedy(refused: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
    };
    match refused {
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "renew the server's certificate; spec.database.secretRef.caKey asks for one that is valid"
        }
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            "set the clock here or there right, or give the server a certificate that is valid already; \
             spec.database.secretRef.caKey asks for that"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "the server's certificate must name the host in the URL under spec.database.secretRef.urlKey; \
             spec.database.secretRef.caKey asks for that"
        }
        rustls::Error::InvalidCertificate(_) => AUTHORITY,
        _ => {
            "spec.database.secretRef.caKey asks for TLS 1.2 or newer from a server that wants no certificate of ours"
        }
    }
}

const CHECK_REACHABLE: &str =
    "check that it runs and may be reached from the operator, and the host in spec.database.secretRef";

/// A fault that a retry may resolve.
fn unreachable(place: &str, why: &str, remedy: &str) -> Fault {
    Fault::new(Reason::DatabaseUnreachable, format!("{place}: {why}; {remedy}"))
}

/// Maps a SQLSTATE to a reason.
fn from_server(target: &Target, code: &str, message: &str) -> Fault {
    let place = target.display_name();
    let schema = &target.schema;
    let code = if code == PROTOCOL_VIOLATION {
        pooler_code(message)
    } else {
        code
    };
    match code {
        // The server's message contains the user.
        "28000" | "28P01" => Fault::new(
            Reason::DatabaseRefused,
            format!(
                "{place} refused the login ({code}); correct user and password in the Secret of spec.database.secretRef, or pg_hba.conf"
            ),
        ),
        "3D000" => Fault::new(
            Reason::DatabaseRefused,
            format!(
                "{place} does not exist; create it or correct the URL in the Secret of spec.database.secretRef"
            ),
        ),
        "42501" if message.starts_with("permission denied for database") => Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: the role in spec.database.secretRef may not connect; let the owner run: GRANT CONNECT ON DATABASE \"{}\" TO that role",
                target.database
            ),
        ),
        "42501" => Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: {message}; grant it to the role in spec.database.secretRef, or run `tarana-operator migrate` as the owner of the tables"
            ),
        ),
        "3F000" | "42P01" | "42703" | "42704" | "42883" => Fault::new(
            Reason::SchemaInvalid,
            format!(
                "{place}: {message}; schema {schema:?} is not as expected: correct spec.database.schema or restore what is missing"
            ),
        ),
        "40001" | "40P01" | "55P03" | "57014" => Fault::new(
            Reason::DatabaseBusy,
            format!("{place} is busy: {message} ({code})"),
        ),
        // The server's message may contain the user.
        "53300" => unreachable(
            &place,
            "it takes no more connections (53300)",
            "close others or raise the limit of the server, the database, the role or the pooler; the operator keeps at \
             most four for each TaranaConnection",
        ),
        _ => match unavailable_remedy(code) {
            Some(remedy) => unreachable(&place, &format!("{message} ({code})"), remedy),
            None => Fault::new(
                Reason::DatabaseError,
                format!("{place} refused a statement: {message} ({code})"),
            ),
        },
    }
}

const READ_ONLY: &str = "25006";
const PROTOCOL_VIOLATION: &str = "08P01";

/// `PgBouncer` reports every failed login as a protocol violation. Recovers the server's SQLSTATE from its English message.
fn pooler_code(message: &str) -> &'static str {
    let phrases = [
        ("too many", "53300"),
        ("connection slots", "53300"),
        ("no more connections allowed", "53300"),
        ("role \"", "28000"),
        ("no such user", "28000"),
        ("authentication failed", "28P01"),
        ("permission denied for database", "42501"),
        ("no such database", "3D000"),
        ("database \"", "3D000"),
    ];
    let known = phrases.iter().find(|(phrase, _)| message.contains(phrase));
    known.map_or(PROTOCOL_VIOLATION, |(_, code)| code)
}

/// The remedy for a server that cannot serve any statement now; `None` if it rejected this statement.
fn unavailable_remedy(code: &str) -> Option<&'static str> {
    match code {
        READ_ONLY => Some(
            "the server is read-only: a standby, or told so; the host in spec.database.secretRef must lead to the primary",
        ),
        "53100" => Some("the server's disk is full: give it space"),
        "25P03" | "25P04" => {
            Some("the operator stood still in the middle of a transaction, and the server gave up on it")
        }
        _ if ["53", "57P", "58", "08"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Some(CHECK_REACHABLE)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, from_server};
    use crate::fault::Reason;

    #[test]
    fn each_sqlstate_maps_to_a_reason() {
        let target = Target {
            host: "db".into(),
            port: 5432,
            database: "towers".into(),
            schema: "public".into(),
        };
        for (code, reason) in [
            ("28P01", Reason::DatabaseRefused),
            ("28000", Reason::DatabaseRefused),
            ("3D000", Reason::DatabaseRefused),
            ("42501", Reason::DatabaseRightsMissing),
            ("3F000", Reason::SchemaInvalid),
            ("42P01", Reason::SchemaInvalid),
            ("42703", Reason::SchemaInvalid),
            ("40001", Reason::DatabaseBusy),
            ("40P01", Reason::DatabaseBusy),
            ("55P03", Reason::DatabaseBusy),
            ("57014", Reason::DatabaseBusy),
            ("53300", Reason::DatabaseUnreachable),
            ("57P01", Reason::DatabaseUnreachable),
            ("57P03", Reason::DatabaseUnreachable),
            ("08006", Reason::DatabaseUnreachable),
            ("08P01", Reason::DatabaseUnreachable),
            ("25P03", Reason::DatabaseUnreachable),
            ("25P04", Reason::DatabaseUnreachable),
            ("53100", Reason::DatabaseUnreachable),
            ("58030", Reason::DatabaseUnreachable),
            ("25006", Reason::DatabaseUnreachable),
            ("22021", Reason::DatabaseError),
        ] {
            let fault = from_server(&target, code, "some message");
            assert_eq!(fault.reason, reason, "{code}");
            assert!(fault.message.contains("db:5432"), "{}", fault.message);
        }
    }

    #[test]
    fn errors_of_the_pooler_are_recognized_and_name_no_user() {
        let target = Target {
            host: "db".into(),
            port: 6432,
            database: "towers".into(),
            schema: "public".into(),
        };
        for (code, message, reason) in [
            (
                "08P01",
                "role \"hunter2\" does not exist",
                Reason::DatabaseRefused,
            ),
            (
                "08P01",
                "database \"towers\" does not exist",
                Reason::DatabaseRefused,
            ),
            ("08P01", "no such user: hunter2", Reason::DatabaseRefused),
            (
                "08P01",
                "permission denied for database \"towers\"",
                Reason::DatabaseRightsMissing,
            ),
            (
                "08P01",
                "no more connections allowed (max_client_conn)",
                Reason::DatabaseUnreachable,
            ),
            ("08P01", "query_wait_timeout", Reason::DatabaseUnreachable),
            (
                "53300",
                "too many connections for role \"hunter2\"",
                Reason::DatabaseUnreachable,
            ),
            (
                "28P01",
                "password authentication failed for user \"hunter2\"",
                Reason::DatabaseRefused,
            ),
        ] {
            let fault = from_server(&target, code, message);
            assert_eq!(fault.reason, reason, "{message}");
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}
