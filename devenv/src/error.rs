//! The error type of this crate. Each message names a remedy where there is one.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an environment, or a part of it, could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed: on a file, a port or a process.
    #[error("{what}: {source}")]
    Io {
        /// The failed operation.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// A program or package is missing and cannot be installed; the text names the remedy.
    #[error("{0}")]
    Missing(String),
    /// A program exited with a failure.
    #[error("`{program}` failed ({status}): {output}")]
    Command {
        /// The program with its arguments.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// A server exited unexpectedly.
    #[error("{name} ended ({status}); the end of its log:\n{tail}")]
    Ended {
        /// The server's name.
        name: &'static str,
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A server runs but did not become ready in time.
    #[error("{what} was not ready after {seconds} s; the ends of the logs:\n{tails}")]
    NotReady {
        /// The server's name.
        what: &'static str,
        /// The timeout.
        seconds: u64,
        /// The last lines of the logs of all servers of the same group.
        tails: String,
    },
    /// A result differs from the expected one; the text names both.
    #[error("{0}")]
    Unexpected(String),
    /// The database returned an error.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Adds the failed operation to an I/O error.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
