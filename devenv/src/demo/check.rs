//! Checks the results of the demo.

use devenv::{ControlPlane, Error, NAMESPACE, Result, SERVICE_ACCOUNT, audit};
use serde_json::Value;

/// The TaranaSync object of a finished run.
pub(super) struct Finished {
    name: String,
    object: Value,
}

impl Finished {
    pub(super) fn new(name: &str, object: Value) -> Self {
        Self {
            name: name.to_owned(),
            object,
        }
    }

    /// Fails unless the run ended in this phase for this reason.
    pub(super) fn expect_end(&self, phase: &str, reason: &str) -> Result<()> {
        let status = &self.object["status"];
        let finished = self.condition("Finished");
        let (found_phase, found_reason) = (text(&status["phase"]), text(&finished["reason"]));
        expect_equal(
            &format!("{}'s phase and reason", self.name),
            &format!("{found_phase} {found_reason}"),
            &format!("{phase} {reason}"),
        )
        .map_err(|error| Error::Unexpected(format!("{error} ({})", text(&finished["message"]))))
    }

    /// Fails unless the condition is true.
    pub(super) fn expect_condition(&self, condition: &str) -> Result<()> {
        let found = self.condition(condition);
        expect_equal(
            &format!("{}'s condition {condition}", self.name),
            text(&found["status"]),
            "True",
        )
    }

    /// One of the run's counts.
    pub(super) fn count(&self, name: &str) -> usize {
        let count = self.object["status"]["counts"][name].as_u64().unwrap_or_default();
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Fails unless the run has these counts.
    pub(super) fn expect_counts(&self, expected: &[(&str, usize)]) -> Result<()> {
        expected.iter().try_for_each(|(name, number)| {
            let what = format!("{}'s count `{name}`", self.name);
            expect_equal(&what, &self.count(name).to_string(), &number.to_string())
        })
    }

    fn condition(&self, wanted: &str) -> &Value {
        let conditions = self.object["status"]["conditions"].as_array();
        conditions
            .and_then(|all| all.iter().find(|condition| condition["type"] == wanted))
            .unwrap_or(&Value::Null)
    }
}

/// Fails when the values differ.
pub(super) fn expect_equal(what: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Unexpected(format!(
            "{what}: expected {expected:?}, found {found:?}"
        )))
    }
}

/// Fails when the API server rejected a request of the operator: the chart's RBAC rules must be sufficient.
pub(super) fn no_request_forbidden(plane: &ControlPlane) -> Result<()> {
    let account = format!("system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}");
    let entries = audit::read(plane.audit_log())?;
    let mut requests = entries
        .iter()
        .filter(|entry| entry.user.username == account)
        .peekable();
    if requests.peek().is_none() {
        return Err(Error::Unexpected(format!(
            "the audit log has no request of {account}"
        )));
    }
    match requests.find(|entry| entry.response_status.code == 403) {
        None => Ok(()),
        Some(forbidden) => Err(Error::Unexpected(format!(
            "the operator may not {} {} {}: add it to the chart's RBAC rules",
            forbidden.verb, forbidden.object_ref.resource, forbidden.object_ref.subresource
        ))),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("(none)")
}
