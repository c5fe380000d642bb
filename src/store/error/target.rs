//! The database that an error concerns, and the faults that name it.

use crate::fault::{Fault, Reason};
use crate::store::identifier::quote;

/// The database, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Target {
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

    /// The statement that lets names without a schema mean those of ours, for the transaction. `pg_temp` comes last.
    pub fn own_search_path(&self) -> String {
        format!("SET LOCAL search_path TO {}, pg_temp", quote(&self.schema))
    }

    /// A fault of this database; `what` follows its name and a colon.
    pub fn fault(&self, reason: Reason, what: impl std::fmt::Display) -> Fault {
        Fault::new(reason, format!("{}: {what}", self.display_name()))
    }

    /// A fault that a retry may resolve.
    pub fn unreachable(&self, why: &str, remedy: &str) -> Fault {
        self.fault(Reason::DatabaseUnreachable, format!("{why}; {remedy}"))
    }
}

/// The remedy for a database that does not respond.
pub(super) const CHECK_REACHABLE: &str =
    "check that it runs and may be reached from the operator, and the host in spec.database.secretRef";
