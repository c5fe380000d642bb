//! What can go wrong while a laptop is made a cluster, each with what a person can do about it.

use std::io;

/// Short for a result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an environment, or a part of it, is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine refused something: a file, a port, a process.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the machine said.
        source: io::Error,
    },
    /// A program or package is not on this machine and cannot be put there; the text says what to do.
    #[error("{0}")]
    Missing(String),
    /// A program ended with a failure.
    #[error("`{program}` failed ({status}): {output}")]
    Command {
        /// The program with its arguments.
        program: String,
        /// How it ended, as the system tells it.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// A server ended by itself.
    #[error("{name} ended ({status}); the end of its log:\n{tail}")]
    Ended {
        /// The server's name.
        name: &'static str,
        /// How it ended, as the system tells it.
        status: String,
        /// The last lines of its log.
        tail: String,
    },
    /// A server runs but did not become ready in time.
    #[error("{what} was not ready after {seconds} s; the ends of the logs:\n{tails}")]
    NotReady {
        /// Which server.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of the logs of all servers that were started with it.
        tails: String,
    },
    /// The database refused.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// Adds to an error of the machine what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
