//! Pure: what a plan left out, as the column `errors` keeps it: `[{message, timestamp}]`, with the serial beside it.

use serde_json::{Value, json};

use super::logs::printable;
use crate::station::{Plan, Rejected};

/// Entries kept of one run: a broken listing can have as many as it has records.
const MOST: usize = 1000;

/// Skipped records first, then notes; `at` is the database's time.
pub(super) fn errors(plan: &Plan, at: &str) -> Value {
    let total = plan.skipped.len() + plan.notes.len();
    let kept = if total > MOST { MOST - 1 } else { total };
    let skipped = plan.skipped.iter().map(|r| entry("skipped", r, at));
    let notes = plan.notes.iter().map(|r| entry("note", r, at));
    let mut entries: Vec<Value> = skipped.chain(notes).take(kept).collect();
    if total > kept {
        entries.push(json!({"message": format!("and {} more", total - kept), "timestamp": at}));
    }
    Value::Array(entries)
}

fn entry(kind: &str, rejected: &Rejected, at: &str) -> Value {
    let why = printable(&rejected.why);
    let serial = rejected.serial.as_deref().map(printable);
    let message = match &serial {
        Some(serial) => format!("{serial}: {why}"),
        None => why.into_owned(),
    };
    json!({"kind": kind, "serial": serial, "message": message, "timestamp": at})
}

#[cfg(test)]
mod tests {
    use super::{MOST, errors};
    use crate::station::{Plan, Rejected};

    fn rejected(serial: Option<&str>) -> Rejected {
        Rejected {
            serial: serial.map(Into::into),
            why: "latitude 91".into(),
        }
    }

    #[test]
    fn entries_have_the_form_that_older_programs_read() {
        let plan = Plan {
            skipped: vec![rejected(Some("S\0"))],
            notes: vec![rejected(None)],
            ..Plan::default()
        };
        let json = errors(&plan, "2026-01-01T00:00:00Z");
        assert_eq!(json[0]["message"], "S\u{fffd}: latitude 91");
        assert_eq!(json[1]["message"], "latitude 91");
        assert_eq!(json[1]["timestamp"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_broken_listing_does_not_fill_the_row() {
        let plan = Plan {
            skipped: vec![rejected(None); MOST + 5],
            ..Plan::default()
        };
        let json = errors(&plan, "");
        assert_eq!(json.as_array().unwrap().len(), MOST);
        assert_eq!(json[MOST - 1]["message"], "and 6 more");
    }
}
