//! Checks that a run can write: the tables from the catalog, and each statement by planning it.
//!
//! Nothing is changed, and nobody waits: a plan takes the weakest lock of its statement until the end of the transaction. A table that
//! somebody else has locked, such as a run in Apply, is not planned this time.

mod catalog;
mod expected;
mod judge;
mod plans;

use super::db::Tx;
use super::rights;
use crate::fault::{Fault, Reason};

/// Maximum length in bytes of what one message says of the tables. A condition shows 512 bytes of a message.
const MAX_FINDINGS: usize = 420;

/// Checks tables, privileges and statements. The transaction must be rolled back.
pub(super) async fn check(tx: &mut Tx) -> Result<(), Fault> {
    let tables = catalog::read(tx).await?;
    let findings = judge::findings(&tx.target().schema, &tables);
    if let Some(message) = message(&findings) {
        return Err(tx.target().fault(Reason::SchemaInvalid, message));
    }
    rights::check(tx).await?;
    Ok(plans::check(tx).await?)
}

/// As many findings as fit, at least one, and the statements that fix them.
fn message(findings: &[judge::Finding]) -> Option<String> {
    let mut length = 0;
    let fitting = findings.iter().take_while(|finding| {
        length += finding.what.len() + finding.remedy.len() + 3;
        length <= MAX_FINDINGS
    });
    let shown = fitting.count().max(1);
    let (shown, more) = findings.split_at_checked(shown)?;
    let what: Vec<&str> = shown.iter().map(|finding| finding.what.as_str()).collect();
    let remedies: Vec<&str> = shown.iter().map(|finding| finding.remedy.as_str()).collect();
    let more = match more.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "{}{more}; let the owner run: {}",
        what.join("; "),
        remedies.join(" ")
    ))
}
