//! What the demo expects. What a person reads on the screen, a machine reads here.

use devenv::{ACCOUNT, ControlPlane, Error, NAMESPACE, Result, audit};
use serde_json::Value;

/// A finished run, as its object tells it.
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
    pub(super) fn ended(&self, phase: &str, reason: &str) -> Result<()> {
        let status = &self.object["status"];
        let found = self.condition("Finished");
        let (is, why) = (text(&status["phase"]), text(&found["reason"]));
        same(
            &format!("{}'s phase and reason", self.name),
            &format!("{is} {why}"),
            &format!("{phase} {reason}"),
        )
        .map_err(|error| Error::Unexpected(format!("{error} ({})", text(&found["message"]))))
    }

    /// Fails unless the condition is true.
    pub(super) fn is(&self, condition: &str) -> Result<()> {
        let found = self.condition(condition);
        same(
            &format!("{}'s condition {condition}", self.name),
            text(&found["status"]),
            "True",
        )
    }

    /// One of its counts.
    pub(super) fn count(&self, name: &str) -> usize {
        let count = self.object["status"]["counts"][name].as_u64().unwrap_or_default();
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Fails unless each of these counts is so.
    pub(super) fn counts(&self, expected: &[(&str, usize)]) -> Result<()> {
        expected.iter().try_for_each(|(name, number)| {
            let what = format!("{}'s count `{name}`", self.name);
            same(&what, &self.count(name).to_string(), &number.to_string())
        })
    }

    fn condition(&self, wanted: &str) -> &Value {
        let conditions = self.object["status"]["conditions"].as_array();
        conditions
            .and_then(|all| all.iter().find(|condition| condition["type"] == wanted))
            .unwrap_or(&Value::Null)
    }
}

/// Fails when the two differ.
pub(super) fn same(what: &str, is: &str, should: &str) -> Result<()> {
    if is == should {
        Ok(())
    } else {
        Err(Error::Unexpected(format!(
            "{what} should be {should:?} and is {is:?}"
        )))
    }
}

/// Fails when the operator was refused anything: the chart's rights are what it needs.
pub(super) fn rights(plane: &ControlPlane) -> Result<()> {
    let account = format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}");
    let entries = audit::read(plane.audit_log())?;
    let mut own = entries
        .iter()
        .filter(|entry| entry.user.username == account)
        .peekable();
    if own.peek().is_none() {
        return Err(Error::Unexpected(format!("nothing was asked as {account}")));
    }
    match own.find(|entry| entry.response_status.code == 403) {
        None => Ok(()),
        Some(refused) => Err(Error::Unexpected(format!(
            "the operator may not {} {} {}: the chart's rules lack it",
            refused.verb, refused.object_ref.resource, refused.object_ref.subresource
        ))),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("(none)")
}
