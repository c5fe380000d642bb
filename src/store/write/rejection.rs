//! Pure: which errors of the server concern single rows, so that the other rows can be written.

use crate::fault::one_line;
use crate::store::error::DbError;

/// Maximum length in bytes of a server's message in a note. A trigger can raise anything.
const MAX_MESSAGE: usize = 300;

/// Why the database did not take rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// For users, in one line.
    pub why: String,
    /// The violated unique or exclusion constraint: another row has the value.
    pub conflict: Option<String>,
}

impl Rejection {
    /// A statement succeeded and wrote fewer rows than it was sent.
    pub fn suppressed() -> Self {
        Self {
            why: "a trigger, rule or row-level security policy of the database suppressed the write"
                .to_owned(),
            conflict: None,
        }
    }

    /// Decides whether an error concerns rows. Any other error is returned.
    pub fn of(error: DbError) -> Result<Self, DbError> {
        let code = error.code().map(std::borrow::Cow::into_owned);
        let (Some(code), Some(message)) = (code, error.message()) else {
            return Err(error);
        };
        if !concerns_rows(&code, message) {
            return Err(error);
        }
        let why = format!("{} ({code})", one_line(message, MAX_MESSAGE));
        let is_conflict = ["23505", "23P01"].contains(&code.as_str());
        let conflict = is_conflict.then(|| error.constraint().map(str::to_owned));
        Ok(Self {
            why,
            conflict: conflict.flatten(),
        })
    }
}

/// Data exceptions, violated constraints, views with CHECK OPTION, what a trigger raises, values that are too long for an index, and
/// policies that reject the new row.
fn concerns_rows(code: &str, message: &str) -> bool {
    ["22", "23", "44", "P0"]
        .iter()
        .any(|class| code.starts_with(class))
        || code == "54000"
        || (code == "42501" && message.starts_with("new row violates row-level security policy"))
}

#[cfg(test)]
mod tests {
    use super::concerns_rows;

    #[test]
    fn errors_of_rows_are_distinguished_from_errors_of_the_statement() {
        for (code, message, expected) in [
            ("22001", "value too long for type character varying(12)", true),
            ("23514", "violates check constraint", true),
            ("P0001", "no", true),
            ("54000", "index row size 3000 exceeds maximum 2704", true),
            (
                "42501",
                "new row violates row-level security policy for table \"t\"",
                true,
            ),
            ("42501", "permission denied for table t", false),
            ("42703", "column does not exist", false),
            ("57014", "canceling statement due to statement timeout", false),
            ("40001", "could not serialize access", false),
        ] {
            assert_eq!(concerns_rows(code, message), expected, "{code} {message}");
        }
    }
}
