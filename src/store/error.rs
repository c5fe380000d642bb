//! What the database answers, sorted once into the faults of the operator.
//!
//! Contract: a message names the server and the database, and what to do. It never holds the URL, the user or the
//! password; the server's own words are left out where they could repeat one of them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::fault::{Fault, Reason};

/// Which database is meant, for messages.
#[derive(Clone, Debug)]
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
    pub fn place(&self) -> String {
        format!("database {:?} at {}:{}", self.database, self.host, self.port)
    }
}

/// An error of the driver and the place where it happened. Turns into a [`Fault`] by `?`.
#[derive(Debug)]
pub(super) struct DbError {
    target: Arc<Target>,
    source: sqlx::Error,
    beginning: bool,
}

impl DbError {
    pub fn new(target: &Arc<Target>, source: sqlx::Error) -> Self {
        Self {
            target: Arc::clone(target),
            source,
            beginning: false,
        }
    }

    /// It was the answer to a transaction's first statement. A standby refuses that one because we mean to write, with
    /// a code that elsewhere says something else.
    pub fn at_the_beginning(self) -> Self {
        Self {
            beginning: true,
            ..self
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub fn code(&self) -> Option<Cow<'_, str>> {
        self.source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
    }

    /// Whether the server answered with this SQLSTATE.
    pub fn is(&self, code: &str) -> bool {
        self.code().is_some_and(|c| c == code)
    }

    /// The name of the constraint that was violated.
    pub fn constraint(&self) -> Option<&str> {
        self.source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::constraint)
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        let place = error.target.place();
        match &error.source {
            sqlx::Error::Database(e) => {
                let code = e.code().unwrap_or_default();
                let code = if error.beginning && code == "0A000" {
                    READ_ONLY
                } else {
                    &code
                };
                from_server(&error.target, code, e.message())
            }
            sqlx::Error::Tls(e) if e.to_string().contains("does not support TLS") => {
                let remedy =
                    "spec.database.secretRef.caKey asks for TLS: turn TLS on there, or take caKey away";
                tls(&place, e, remedy)
            }
            sqlx::Error::Tls(e) => tls(&place, e, AUTHORITY),
            sqlx::Error::Io(e) => match e
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(refused) => tls(&place, refused, tls_remedy(refused)),
                None => unreachable(&place, &e.to_string(), REACH),
            },
            sqlx::Error::PoolTimedOut => unreachable(
                &place,
                "no connection in time: none could be made, or all are in use",
                REACH,
            ),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                unreachable(&place, "the pool was closed", REACH)
            }
            sqlx::Error::Protocol(what) => unreachable(&place, &format!("unexpected answer: {what}"), REACH),
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

/// What to do about a handshake that we broke off.
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

const REACH: &str =
    "check that it runs and may be reached from the operator, and the host in spec.database.secretRef";

/// What may be over when it is tried again.
fn unreachable(place: &str, why: &str, remedy: &str) -> Fault {
    Fault::new(Reason::DatabaseUnreachable, format!("{place}: {why}; {remedy}"))
}

/// The one table from SQLSTATE to reason.
fn from_server(target: &Target, code: &str, said: &str) -> Fault {
    let place = target.place();
    let schema = &target.schema;
    let code = if code == POOLER { behind_pooler(said) } else { code };
    match code {
        // What the server says here names the user.
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
        "42501" if said.starts_with("permission denied for database") => Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: the role in spec.database.secretRef may not connect; let the owner run: GRANT CONNECT ON DATABASE \"{}\" TO that role",
                target.database
            ),
        ),
        "42501" => Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: {said}; grant it to the role in spec.database.secretRef, or run `tarana-operator migrate` as the owner of the tables"
            ),
        ),
        "3F000" | "42P01" | "42703" | "42704" | "42883" => Fault::new(
            Reason::SchemaInvalid,
            format!(
                "{place}: {said}; schema {schema:?} is not as expected: correct spec.database.schema or restore what is missing"
            ),
        ),
        "40001" | "40P01" | "55P03" | "57014" => {
            Fault::new(Reason::DatabaseBusy, format!("{place} is busy: {said} ({code})"))
        }
        // What the server says here may name the user, too.
        "53300" => unreachable(
            &place,
            "it takes no more connections (53300)",
            "close others or raise the limit of the server, the database, the role or the pooler; the operator keeps at \
             most four for each TaranaConnection",
        ),
        _ => match circumstance(code) {
            Some(remedy) => unreachable(&place, &format!("{said} ({code})"), remedy),
            None => Fault::new(
                Reason::DatabaseError,
                format!("{place} refused a statement: {said} ({code})"),
            ),
        },
    }
}

const READ_ONLY: &str = "25006";
const POOLER: &str = "08P01";

/// PgBouncer says of everything that is wrong with a login that the protocol was violated, also when the server told it
/// more. What is left is the server's words, in English.
fn behind_pooler(said: &str) -> &'static str {
    let words = [
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
    let known = words.iter().find(|(word, _)| said.contains(word));
    known.map_or(POOLER, |(_, code)| code)
}

/// What to do about a server that cannot serve us now, whatever we say; `None` where it is our words that it refuses.
fn circumstance(code: &str) -> Option<&'static str> {
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
            Some(REACH)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, from_server};
    use crate::fault::Reason;

    #[test]
    fn every_sqlstate_has_its_reason() {
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
            let fault = from_server(&target, code, "so it says");
            assert_eq!(fault.reason, reason, "{code}");
            assert!(fault.message.contains("db:5432"), "{}", fault.message);
        }
    }

    #[test]
    fn what_the_pooler_hands_on_is_known_by_its_words_and_names_no_user() {
        let target = Target {
            host: "db".into(),
            port: 6432,
            database: "towers".into(),
            schema: "public".into(),
        };
        for (code, said, reason) in [
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
            let fault = from_server(&target, code, said);
            assert_eq!(fault.reason, reason, "{said}");
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}
