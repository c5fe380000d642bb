//! Pure: conditions of a connection that works all the same: log rows that cannot be closed, credentials that are sent in plain text, and
//! regions that another connection writes too.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::overlap::{self, Overlap};
use crate::api::condition::{self, INSECURE_TRANSPORT, LOG_ROWS_OPEN, REGIONS_OVERLAP, whole_seconds};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::api::reason::Reason;
use crate::fault::Fault;
use crate::notify::EventSpec;

/// The condition types of this module.
const TYPES: [&str; 3] = [LOG_ROWS_OPEN, INSECURE_TRANSPORT, REGIONS_OVERLAP];

/// Runs that have ended and whose log rows cannot be closed: the name of the run, and why.
pub type OpenRows = BTreeMap<Uuid, (String, Fault)>;

/// What the status warns of.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    /// Log rows that cannot be closed.
    pub open_rows: OpenRows,
    /// What sends credentials in plain text, for users; `None` if it is not known.
    pub plain_text: Option<Vec<String>>,
    /// Other connections that write the same regions of the table; `None` if they are not known.
    pub overlaps: Option<Vec<Overlap>>,
}

impl Warnings {
    fn open_rows(&self) -> Option<(Reason, String)> {
        let (name, fault) = self.open_rows.values().next()?;
        let others = match self.open_rows.len() - 1 {
            0 => String::new(),
            n => format!(" and those of {n} others"),
        };
        let message = format!(
            "the log row of TaranaSync {name}{others} cannot be closed, and other syncs of this connection wait for it: {}",
            fault.message
        );
        Some((fault.reason, message))
    }

    fn plain_text(&self) -> Option<(Reason, String)> {
        let parts = self.plain_text.as_ref().filter(|parts| !parts.is_empty())?;
        Some((Reason::PlainText, parts.join("; ")))
    }
}

/// Sets the conditions that apply and removes the others.
pub(super) fn update_status(
    status: &mut TaranaConnectionStatus,
    connection: &TaranaConnection,
    warnings: &Warnings,
    now: Timestamp,
) {
    let mut apply = |type_, warning: Option<(Reason, String)>| match warning {
        None => condition::clear(&mut status.conditions, type_),
        Some((reason, message)) => condition::set(
            &mut status.conditions,
            type_,
            true,
            reason,
            &message,
            connection.metadata.generation,
            whole_seconds(now),
        ),
    };
    apply(LOG_ROWS_OPEN, warnings.open_rows());
    // Before the Secrets are read, what the status says of them stays.
    if warnings.plain_text.is_some() {
        apply(INSECURE_TRANSPORT, warnings.plain_text());
    }
    // After a restart, what the status says stays until the other connections are known.
    if let Some(overlaps) = &warnings.overlaps {
        let message = overlap::message(overlaps, &connection.spec.database.schema);
        apply(
            REGIONS_OVERLAP,
            message.map(|message| (Reason::RegionsOverlap, message)),
        );
    }
}

/// One Event for each warning that is new.
pub(super) fn events(
    before: Option<&TaranaConnectionStatus>,
    after: &TaranaConnectionStatus,
) -> Vec<EventSpec> {
    let was_true = |type_| before.is_some_and(|status| condition::is_true(&status.conditions, type_));
    let new = TYPES.into_iter().filter(|type_| !was_true(type_));
    new.filter_map(|type_| {
        let condition = condition::find(&after.conditions, type_)?;
        let reason = Reason::parse(&condition.reason)?;
        Some(EventSpec::warning(reason, condition.message.clone()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(status: &TaranaConnectionStatus, warnings: &Warnings) -> TaranaConnectionStatus {
        let connection: TaranaConnection = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "default"},
            "spec": {"api": {"url": "https://tcs", "credentialsSecretRef": {"name": "tcs"}}, "database": {"secretRef": {"name": "db"}}},
        }))
        .unwrap();
        let mut status = status.clone();
        update_status(&mut status, &connection, warnings, Timestamp::UNIX_EPOCH);
        status
    }

    #[test]
    fn a_warning_is_a_condition_and_one_event_until_it_ends() {
        let fault = Fault::new(Reason::DatabaseError, "a trigger raised");
        let row = |name: &str| (name.to_owned(), fault.clone());
        let warnings = Warnings {
            open_rows: [(Uuid::from_u128(1), row("one")), (Uuid::from_u128(2), row("two"))].into(),
            plain_text: Some(vec!["spec.api.url has http://".to_owned()]),
            overlaps: None,
        };
        let none = TaranaConnectionStatus::default();
        let warned = apply(&none, &warnings);
        let rows = condition::find(&warned.conditions, LOG_ROWS_OPEN).unwrap();
        for part in ["TaranaSync one", "1 others", "a trigger raised"] {
            assert!(rows.message.contains(part), "{}", rows.message);
        }
        assert_eq!(events(Some(&none), &warned).len(), 2);
        assert_eq!(events(Some(&warned), &apply(&warned, &warnings)), []);
        let unread = apply(&warned, &Warnings::default());
        assert!(condition::is_true(&unread.conditions, INSECURE_TRANSPORT));
        let nothing = Warnings {
            plain_text: Some(Vec::new()),
            ..Warnings::default()
        };
        assert_eq!(apply(&unread, &nothing).conditions, []);
    }
}
