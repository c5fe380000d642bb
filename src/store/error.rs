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
}

impl DbError {
    pub fn new(target: &Arc<Target>, source: sqlx::Error) -> Self {
        Self {
            target: Arc::clone(target),
            source,
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
                from_server(&error.target, &e.code().unwrap_or_default(), e.message())
            }
            sqlx::Error::Tls(e) => tls(&place, e.as_ref()),
            sqlx::Error::Io(e) => match e
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(refused) => tls(&place, refused),
                None => unreachable(&place, &e.to_string()),
            },
            sqlx::Error::PoolTimedOut => unreachable(
                &place,
                "no connection in time: none could be made, or all are in use",
            ),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                unreachable(&place, "the pool was closed")
            }
            sqlx::Error::Protocol(what) => unreachable(&place, &format!("unexpected answer: {what}")),
            other => Self::new(Reason::DatabaseError, format!("{place}: {other}")),
        }
    }
}

fn tls(place: &str, why: &dyn std::fmt::Display) -> Fault {
    let remedy =
        "check the server's certificate against spec.database.secretRef.caKey and the host name in its URL";
    Fault::new(
        Reason::DatabaseTlsFailed,
        format!("{place}: TLS failed: {why}; {remedy}"),
    )
}

fn unreachable(place: &str, why: &str) -> Fault {
    let remedy =
        "check that it runs and may be reached from the operator, and the host in spec.database.secretRef";
    Fault::new(Reason::DatabaseUnreachable, format!("{place}: {why}; {remedy}"))
}

/// The one table from SQLSTATE to reason.
fn from_server(target: &Target, code: &str, said: &str) -> Fault {
    let place = target.place();
    let schema = &target.schema;
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
        "42501" => Fault::new(
            Reason::DatabaseRightsMissing,
            format!(
                "{place}: {said}; grant it to the role in spec.database.secretRef, or run `tarana-operator migrate` as the owner of the tables"
            ),
        ),
        "3F000" | "42P01" | "42703" | "42883" => Fault::new(
            Reason::SchemaInvalid,
            format!(
                "{place}: {said}; schema {schema:?} is not as expected: correct spec.database.schema or restore what is missing"
            ),
        ),
        "40001" | "40P01" | "55P03" | "57014" => {
            Fault::new(Reason::DatabaseBusy, format!("{place} is busy: {said} ({code})"))
        }
        "25006" => unreachable(&place, "it is read-only (a standby, or out of space)"),
        _ if code.starts_with("53")
            || code.starts_with("57P")
            || code.starts_with("08")
            || code == "25P03" =>
        {
            unreachable(&place, &format!("{said} ({code})"))
        }
        _ => Fault::new(
            Reason::DatabaseError,
            format!("{place} refused a statement: {said} ({code})"),
        ),
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
            ("25P03", Reason::DatabaseUnreachable),
            ("25006", Reason::DatabaseUnreachable),
            ("22021", Reason::DatabaseError),
        ] {
            let fault = from_server(&target, code, "so it says");
            assert_eq!(fault.reason, reason, "{code}");
            assert!(fault.message.contains("db:5432"), "{}", fault.message);
        }
    }

    #[test]
    fn a_refused_login_does_not_repeat_the_user() {
        let target = Target {
            host: "db".into(),
            port: 5432,
            database: "towers".into(),
            schema: "public".into(),
        };
        let fault = from_server(
            &target,
            "28P01",
            "password authentication failed for user \"hunter2\"",
        );
        assert!(!fault.message.contains("hunter2"), "{}", fault.message);
    }
}
