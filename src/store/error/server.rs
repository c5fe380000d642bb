//! Pure: maps the SQLSTATE of a server, or what a pooler means, to a fault.

use std::borrow::Cow;

use super::pooler::{self, PoolerError};
use super::target::{CHECK_REACHABLE, Target};
use crate::fault::{Fault, Reason, one_line};

/// Maximum length in bytes of a message of the server within ours. A trigger can raise an error of any length, and the remedy follows it.
const MAX_QUOTED: usize = 240;

const READ_ONLY: &str = "25006";

/// A message of the server, as a part of ours.
pub(super) fn quote(message: &str) -> Cow<'_, str> {
    one_line(message, MAX_QUOTED)
}

/// A server that accepts no writes.
pub(super) fn read_only(target: &Target, is_standby: bool) -> Fault {
    let (why, remedy) = if is_standby {
        (
            "the server is read-only: it is a standby",
            "the host in spec.database.secretRef must lead to the primary",
        )
    } else {
        (
            "the database is read-only for this role (default_transaction_read_only = on)",
            "providers set this while the disk is full: give it space; otherwise let the owner run: ALTER DATABASE … or ALTER ROLE … RESET \
             default_transaction_read_only",
        )
    };
    target.unreachable(why, remedy)
}

/// Maps an error. `is_fatal`: it ended the connection.
pub(super) fn classify(target: &Target, code: &str, message: &str, is_fatal: bool) -> Fault {
    match pooler::meaning(code, message, is_fatal) {
        None => from_sqlstate(target, code, message),
        Some(PoolerError::Sqlstate(code)) => from_sqlstate(target, code, message),
        Some(PoolerError::UnknownTenant) => target.fault(
            Reason::DatabaseRefused,
            format!(
                "the pooler does not know the tenant or user ({code}); in the URL under spec.database.secretRef.urlKey, the user must read \
                 user.project (Supabase: postgres.<project reference>), and the host must be the pooler of the project's region"
            ),
        ),
        Some(PoolerError::Unavailable) => {
            let message = pooler::without_names(message);
            target.unreachable(&format!("{} ({code})", quote(&message)), CHECK_REACHABLE)
        }
    }
}

fn from_sqlstate(target: &Target, code: &str, message: &str) -> Fault {
    let place = target.display_name();
    let message = &quote(message);
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
        "42501" => target.fault(Reason::DatabaseRightsMissing, missing_privilege(target, message)),
        _ if is_schema_error(code) => target.fault(
            Reason::SchemaInvalid,
            format!(
                "{message}; schema {:?} is not as expected: correct spec.database.schema or restore what is missing",
                target.schema
            ),
        ),
        "40001" | "40P01" | "55P03" | "57014" => Fault::new(
            Reason::DatabaseBusy,
            format!("{place} is busy: {message} ({code})"),
        ),
        // The server's message may contain the user.
        "53300" => target.unreachable(
            "it takes no more connections (53300)",
            "close others or raise the limit of the server, the database, the role or the pooler; the operator has at \
             most --database-connections for each user of a database",
        ),
        _ => match unavailable_remedy(code) {
            Some(remedy) => target.unreachable(&format!("{message} ({code})"), remedy),
            None => Fault::new(
                Reason::DatabaseError,
                format!("{place} refused a statement: {message} ({code})"),
            ),
        },
    }
}

fn missing_privilege(target: &Target, message: &str) -> String {
    if message.starts_with("permission denied for database") {
        return format!(
            "the role in spec.database.secretRef may not connect; let the owner run: GRANT CONNECT ON DATABASE \"{}\" TO that role",
            target.database
        );
    }
    if message.contains("row-level security policy") {
        return format!(
            "{message}; row-level security must admit all rows to the role in spec.database.secretRef, as migrations/roles/operator.sql does"
        );
    }
    format!(
        "{message}; grant it to the role in spec.database.secretRef, or run `tarana-operator migrate` as the owner of the tables"
    )
}

/// Whether a statement does not fit the tables: a schema, table, column, function or type is missing or another one, no unique index
/// serves ON CONFLICT, or a column is generated.
fn is_schema_error(code: &str) -> bool {
    [
        "3F000", "42P01", "42703", "42704", "42883", "42804", "42809", "42846", "42P10", "428C9", "42P16",
    ]
    .contains(&code)
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
    use super::{Target, classify};
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
            ("42804", Reason::SchemaInvalid),
            ("42P10", Reason::SchemaInvalid),
            ("428C9", Reason::SchemaInvalid),
            ("XX000", Reason::DatabaseError),
            ("22021", Reason::DatabaseError),
        ] {
            let fault = classify(&target, code, "some message", false);
            assert_eq!(fault.reason, reason, "{code}");
            assert!(fault.message.contains("db:5432"), "{}", fault.message);
        }
    }

    const OF_POOLERS: &[(&str, &str, Reason)] = &[
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
            "08P01",
            "server login has been failing, cached error: password authentication failed for user \"hunter2\"",
            Reason::DatabaseRefused,
        ),
        (
            "08P01",
            "server login has been failing, cached error: timeout of user \"hunter2\"",
            Reason::DatabaseUnreachable,
        ),
        (
            "XX000",
            "(ENOTFOUND) tenant/user hunter2.project not found",
            Reason::DatabaseRefused,
        ),
        ("XX000", "Tenant or user not found", Reason::DatabaseRefused),
        (
            "XX000",
            "(EMAXCONN) max client connections reached, limit: 200",
            Reason::DatabaseUnreachable,
        ),
        (
            "XX000",
            "DbHandler of user hunter2 exited",
            Reason::DatabaseUnreachable,
        ),
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
    ];

    #[test]
    fn errors_of_the_pooler_are_recognized_and_name_no_user() {
        let target = Target {
            host: "db".into(),
            port: 6432,
            database: "towers".into(),
            schema: "public".into(),
        };
        for &(code, message, reason) in OF_POOLERS {
            let fault = classify(&target, code, message, true);
            assert_eq!(fault.reason, reason, "{message}");
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}
