//! Pure: the result of all checks, as a table or as JSON.

use std::fmt::{self, Display, Write};

use serde::Serialize;

use crate::fault::Fault;

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but should be looked at.
    Warning,
    /// Syncs cannot work.
    Failed,
    /// Not checked, because an earlier check failed.
    Skipped,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, such as `database login`.
    pub check: &'static str,
    /// Its result.
    pub outcome: Outcome,
    /// What was found and, unless that is fine, what to do.
    pub message: String,
}

/// The checks of one subject, in order. After a failed one, those that depend on it are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Such as `TaranaConnection coverage/default`.
    pub subject: String,
    /// Its checks.
    pub checks: Vec<Check>,
}

impl Section {
    /// Without checks.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            checks: Vec::new(),
        }
    }

    /// Adds a check.
    pub fn add(&mut self, check: &'static str, outcome: Outcome, message: impl Into<String>) {
        self.checks.push(Check {
            check,
            outcome,
            message: message.into(),
        });
    }

    /// Adds a check that is ok, or failed with a fault, whose message has the remedy. Returns the value, if there is one.
    pub fn add_result<T>(
        &mut self,
        check: &'static str,
        result: Result<T, Fault>,
        describe: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.add(check, Outcome::Ok, describe(&value));
                Some(value)
            }
            Err(fault) => {
                self.add_fault(check, &fault);
                None
            }
        }
    }

    /// Adds a check that failed with this fault.
    pub fn add_fault(&mut self, check: &'static str, fault: &Fault) {
        self.add(check, Outcome::Failed, fault.to_string());
    }

    /// Adds checks that are not made because of another one.
    pub fn skip(&mut self, checks: &[&'static str], because: &str) {
        for check in checks {
            self.add(check, Outcome::Skipped, format!("not checked without: {because}"));
        }
    }
}

/// The result of all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// By subject.
    pub sections: Vec<Section>,
}

impl Report {
    /// Whether no check failed.
    pub fn is_healthy(&self) -> bool {
        self.count(Outcome::Failed) == 0
    }

    fn count(&self, outcome: Outcome) -> usize {
        let checks = self.sections.iter().flat_map(|section| &section.checks);
        checks.filter(|check| check.outcome == outcome).count()
    }

    /// A table for people: one line for each check, below its subject.
    pub fn table(&self) -> String {
        let checks = self.sections.iter().flat_map(|section| &section.checks);
        let width = checks.map(|check| check.check.len()).max().unwrap_or_default();
        let mut table = String::new();
        for section in &self.sections {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{}", section.subject);
            for Check {
                check,
                outcome,
                message,
            } in &section.checks
            {
                let _ = writeln!(table, "  {outcome:<7}  {check:<width$}  {message}");
            }
        }
        let _ = writeln!(
            table,
            "\n{} ok, {} warning(s), {} failed, {} skipped",
            self.count(Outcome::Ok),
            self.count(Outcome::Warning),
            self.count(Outcome::Failed),
            self.count(Outcome::Skipped)
        );
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Reason;

    fn report() -> Report {
        let mut section = Section::new("TaranaConnection a/default");
        section.add("Secrets", Outcome::Ok, "found");
        let refused = Fault::new(
            Reason::DatabaseUnreachable,
            "nothing listens on db:5432: start it",
        );
        assert_eq!(
            section.add_result("database login", Err::<(), _>(refused), |()| String::new()),
            None
        );
        section.skip(&["database schema"], "database login");
        Report {
            sections: vec![section],
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_check_and_the_counts() {
        assert_eq!(
            report().table(),
            "TaranaConnection a/default\n\
             \x20 ok       Secrets          found\n\
             \x20 failed   database login   DatabaseUnreachable: nothing listens on db:5432: start it\n\
             \x20 skipped  database schema  not checked without: database login\n\
             \n1 ok, 0 warning(s), 1 failed, 1 skipped\n"
        );
    }

    #[test]
    fn only_a_failed_check_makes_it_unhealthy() {
        assert!(!report().is_healthy());
        let mut section = Section::new("a");
        section.add("clock", Outcome::Warning, "5 s ahead");
        assert!(
            Report {
                sections: vec![section]
            }
            .is_healthy()
        );
    }
}
