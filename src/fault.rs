//! Pure: faults, and whether a retry can help.
//!
//! Every failure of a run or a probe is a [`Fault`]: a [`Reason`], a message that names the remedy, and for some the time
//! after which to retry. Callers do not choose whether to retry: [`Fault::class`] is a function of the reason, in one table.

use std::time::Duration;

pub use crate::api::reason::Reason;
pub use crate::api::text::{one_line, truncate};

/// Maximum length of a message in bytes. Statements that grant all privileges of a role fit; a condition shows less.
const MAX_MESSAGE_BYTES: usize = 4096;

/// Whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A retry may succeed, within the limits.
    Transient,
    /// It looks permanent, but also happens once, for example because of a proxy: permanent only if it persists.
    Doubtful,
    /// No retry succeeds: stop at once and say what to do.
    Permanent,
}

/// A failure as a value. Its message never contains a secret, a cookie, a token or the text of a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Fault {
    /// The kind of failure.
    pub reason: Reason,
    /// What happened, to what, and what to do.
    pub message: String,
    /// The minimum delay before a retry, if the server requested one.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault. `message` is for users: it becomes one line of limited length here, for conditions, Events, log rows and logs alike,
    /// because it may quote a server or a trigger.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            reason,
            message: one_line(&message, MAX_MESSAGE_BYTES).into_owned(),
            retry_after: None,
        }
    }

    /// The same fault with a minimum delay before a retry.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Whether a retry can help.
    pub fn class(&self) -> Class {
        class(self.reason)
    }

    /// Whether the class is `Permanent`.
    pub fn is_permanent(&self) -> bool {
        self.class() == Class::Permanent
    }
}

/// The class of every reason. Reasons that are not listed are transient.
fn class(reason: Reason) -> Class {
    use Reason::{
        AccessDenied, ApiChanged, ApiRejected, ApiTlsFailed, AuthenticationChallenge, AuthenticationFailed,
        DatabaseError, DatabaseRefused, DatabaseRightsMissing, DatabaseTlsFailed, DeadlineExceeded,
        InvalidConfiguration, InvalidObject, InvalidSchedule, InvalidTrigger, NeverDue, NoRegions,
        OperatorIdUnknown, RegionNotFound, ResponseTooLarge, RunRefused, SchemaInvalid, SchemaOutdated,
        SchemaTooNew, SecretKeyMissing, SecretNotFound,
    };
    match reason {
        // A user must change the connection, a Secret or the account.
        SecretNotFound | SecretKeyMissing | InvalidConfiguration | AuthenticationFailed
        | AuthenticationChallenge | ApiTlsFailed | OperatorIdUnknown | RegionNotFound | NoRegions
        // A user must change the schedule.
        | InvalidSchedule | InvalidTrigger | NeverDue | RunRefused
        // A user must correct or delete the object.
        | InvalidObject
        // A user must change the database or the operator.
        | DatabaseTlsFailed | DatabaseRefused | DatabaseRightsMissing | SchemaInvalid | SchemaOutdated
        | SchemaTooNew | DatabaseError
        // No time is left for a retry.
        | DeadlineExceeded => Class::Permanent,
        // This version is incompatible with the vendor's API, or the account lacks a right.
        AccessDenied | ApiRejected | ApiChanged | ResponseTooLarge => Class::Doubtful,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Fault, MAX_MESSAGE_BYTES, Reason};

    #[test]
    fn a_message_is_one_line_of_limited_length() {
        let fault = Fault::new(Reason::DatabaseError, "a trigger says\r\nthis: ".repeat(10_000));
        assert!(fault.message.len() <= MAX_MESSAGE_BYTES);
        assert!(
            fault.message.starts_with("a trigger says this: a trigger"),
            "{fault}"
        );
        assert!(!fault.message.contains(char::is_control));
    }

    #[test]
    fn each_reason_has_its_class() {
        for (reason, class) in [
            (Reason::AuthenticationFailed, Class::Permanent),
            (Reason::ApiChanged, Class::Doubtful),
            (Reason::ApiThrottled, Class::Transient),
            (Reason::ApiUnavailable, Class::Transient),
            (Reason::ApiUnreachable, Class::Transient),
            (Reason::FetchIncomplete, Class::Transient),
            (Reason::FetchEmpty, Class::Transient),
            (Reason::DatabaseUnreachable, Class::Transient),
            (Reason::DatabaseBusy, Class::Transient),
            (Reason::DatabaseRefused, Class::Permanent),
            (Reason::SchemaTooNew, Class::Permanent),
        ] {
            assert_eq!(Fault::new(reason, "").class(), class, "{reason}");
        }
    }
}
