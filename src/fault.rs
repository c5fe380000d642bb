//! Pure: what can go wrong, classified once.
//!
//! Every failure of a run or a check is a [`Fault`]: a [`Reason`], a message that names the remedy, and (for some)
//! the time after which to try again. Whether it is worth trying again is not the caller's choice: [`Fault::class`]
//! is a function of the reason, told in one table. Contract: `../shared/design.md`, "Faults are classified once".

use std::time::Duration;

pub use crate::api::reason::Reason;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May pass by itself: try again, within the limits.
    Transient,
    /// Will not pass by itself: stop at once and say what to do.
    Permanent,
}

/// A failure, as a value. Its message never holds a secret, a cookie, a token or the text of an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Fault {
    /// What happened.
    pub reason: Reason,
    /// For a person: what happened where, and what to do.
    pub message: String,
    /// No sooner than this, where the other side said so.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault; `message` is one line for a person.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The same fault, not to be tried again before `after`.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Whether trying again can help.
    pub fn class(&self) -> Class {
        class(self.reason)
    }

    /// Shorthand for `class() == Permanent`.
    pub fn is_permanent(&self) -> bool {
        self.class() == Class::Permanent
    }
}

/// The one table. What is not named here passes by itself.
fn class(reason: Reason) -> Class {
    use Reason::{
        AccessDenied, ApiChanged, ApiRejected, ApiTlsFailed, AuthenticationChallenge, AuthenticationFailed,
        DatabaseError, DatabaseRefused, DatabaseRightsMissing, DatabaseTlsFailed, DeadlineExceeded,
        InvalidConfiguration, InvalidSchedule, NeverDue, NoRegions, OperatorIdUnknown, RegionNotFound,
        ResponseTooLarge, RunRefused, SchemaInvalid, SchemaOutdated, SchemaTooNew, SecretKeyMissing,
        SecretNotFound,
    };
    match reason {
        // A person must change the connection, a Secret or the account.
        SecretNotFound | SecretKeyMissing | InvalidConfiguration | AuthenticationFailed
        | AuthenticationChallenge | AccessDenied | ApiTlsFailed | OperatorIdUnknown | RegionNotFound
        | NoRegions
        // A person must change the schedule.
        | InvalidSchedule | NeverDue | RunRefused
        // This version and the vendor no longer understand each other.
        | ApiRejected | ApiChanged | ResponseTooLarge
        // A person must change the database or the operator.
        | DatabaseTlsFailed | DatabaseRefused | DatabaseRightsMissing | SchemaInvalid | SchemaOutdated
        | SchemaTooNew | DatabaseError
        // There is no time left to try in.
        | DeadlineExceeded => Class::Permanent,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Fault, Reason};

    #[test]
    fn classes_follow_the_contract() {
        for (reason, class) in [
            (Reason::AuthenticationFailed, Class::Permanent),
            (Reason::ApiChanged, Class::Permanent),
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
