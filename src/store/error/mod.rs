//! Maps errors of the database to faults, in one place: by SQLSTATE, and by who sent it (the server, a pooler, or the server about the
//! settings with which we begin a transaction).
//!
//! Contract: a message names the server, the database and the remedy. It never contains the URL, the user or the password;
//! the server's message is omitted where it could repeat one of them.

mod pooler;
mod server;
mod target;
mod tls;

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::postgres::{PgDatabaseError, PgRow, PgSeverity};

use self::target::CHECK_REACHABLE;
pub(super) use self::target::Target;
use crate::fault::{Fault, Reason};

impl Target {
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

/// An error and the database that it concerns. Converts into a [`Fault`] by `?`.
#[derive(Debug)]
pub(super) struct DbError {
    target: Arc<Target>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Of the driver, about a statement or a connection.
    Driver(sqlx::Error),
    /// Of the driver, about the settings that begin a transaction.
    Preamble(sqlx::Error),
    /// The transaction is read-only, because the server is a standby or is told so.
    ReadOnly { is_standby: bool },
    /// There is no session for the transaction.
    NoSession(NoSession),
}

/// Why there is no session for a transaction.
#[derive(Debug)]
pub(super) enum NoSession {
    /// This process uses all sessions, this many, and none became free in time.
    AllInUse(u32),
    /// None could be made, for this transaction or for another one that was waiting at the same time.
    Failed(Arc<sqlx::Error>),
}

impl DbError {
    pub fn new(target: &Arc<Target>, source: sqlx::Error) -> Self {
        Self {
            target: Arc::clone(target),
            cause: Cause::Driver(source),
        }
    }

    /// A transaction without a session.
    pub fn no_session(target: &Arc<Target>, why: NoSession) -> Self {
        Self {
            target: Arc::clone(target),
            cause: Cause::NoSession(why),
        }
    }

    /// A transaction that cannot write.
    pub fn read_only(target: &Arc<Target>, is_standby: bool) -> Self {
        Self {
            target: Arc::clone(target),
            cause: Cause::ReadOnly { is_standby },
        }
    }

    /// Marks an error of the preamble.
    pub fn in_preamble(self) -> Self {
        Self {
            cause: match self.cause {
                Cause::Driver(source) => Cause::Preamble(source),
                other => other,
            },
            ..self
        }
    }

    fn server_error(&self) -> Option<&dyn sqlx::error::DatabaseError> {
        match &self.cause {
            Cause::Driver(source) | Cause::Preamble(source) => source.as_database_error(),
            Cause::NoSession(NoSession::Failed(source)) => source.as_database_error(),
            Cause::ReadOnly { .. } | Cause::NoSession(NoSession::AllInUse(_)) => None,
        }
    }

    /// The SQLSTATE, if the server sent one.
    pub fn code(&self) -> Option<Cow<'_, str>> {
        self.server_error().and_then(sqlx::error::DatabaseError::code)
    }

    /// Whether the server sent this SQLSTATE.
    pub fn has_code(&self, code: &str) -> bool {
        self.code().is_some_and(|c| c == code)
    }

    /// The server's message.
    pub fn message(&self) -> Option<&str> {
        self.server_error().map(sqlx::error::DatabaseError::message)
    }

    /// Name of the violated constraint.
    pub fn constraint(&self) -> Option<&str> {
        self.server_error()
            .and_then(sqlx::error::DatabaseError::constraint)
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        let target = &error.target;
        match &error.cause {
            Cause::ReadOnly { is_standby } => server::read_only(target, *is_standby),
            Cause::Preamble(sqlx::Error::Database(e)) if is_unsupported(&e.code().unwrap_or_default()) => target.fault(
                Reason::DatabaseError,
                format!(
                    "it refuses a setting with which each transaction begins ({}): {}; the operator needs PostgreSQL 13 or newer, or a \
                     pooler in front of one",
                    e.code().unwrap_or_default(),
                    server::quote(e.message())
                ),
            ),
            Cause::Driver(source) | Cause::Preamble(source) => from_driver(target, source),
            Cause::NoSession(NoSession::Failed(source)) => from_driver(target, source),
            Cause::NoSession(NoSession::AllInUse(sessions)) => target.fault(
                Reason::DatabaseBusy,
                format!(
                    "all {sessions} sessions of this process are in use, and none became free in time: allow more \
                     (--database-connections), or fewer runs at once (--max-concurrent-syncs)"
                ),
            ),
        }
    }
}

/// Whether a SQLSTATE means that a setting does not exist, or not with this value.
fn is_unsupported(code: &str) -> bool {
    code.starts_with("0A") || code.starts_with("22") || (code.starts_with("42") && code != "42501")
}

fn from_driver(target: &Target, error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(e) => {
            let severity = e.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
            let is_fatal = matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic));
            server::classify(target, &e.code().unwrap_or_default(), e.message(), is_fatal)
        }
        sqlx::Error::Tls(e) => tls_failed(target, tls::refused(&e.to_string())),
        sqlx::Error::Io(e) => match e
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(refused) => tls_failed(target, tls::failed(refused)),
            None => target.unreachable(&e.to_string(), CHECK_REACHABLE),
        },
        // The driver names the character of user or password that SASLprep prohibits.
        sqlx::Error::Configuration(_) => target.fault(
            Reason::InvalidConfiguration,
            "user or password in the URL under spec.database.secretRef.urlKey has a character that SCRAM prohibits; \
             give the role a password without control characters",
        ),
        sqlx::Error::PoolTimedOut => target.unreachable(
            "no connection could be made in time",
            CHECK_REACHABLE,
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            target.unreachable("the pool was closed", CHECK_REACHABLE)
        }
        sqlx::Error::Protocol(what) => {
            target.unreachable(&format!("unexpected answer: {}", server::quote(what)), CHECK_REACHABLE)
        }
        other => target.fault(Reason::DatabaseError, server::quote(&other.to_string())),
    }
}

fn tls_failed(target: &Target, (why, remedy): tls::Diagnosis) -> Fault {
    target.fault(Reason::DatabaseTlsFailed, format!("TLS failed: {why}; {remedy}"))
}
