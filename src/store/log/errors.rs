//! Pure: the entries that a completed run appends to the column `errors`: `{kind, serial, message, timestamp}` per skipped
//! record or note. If there are too many, the last entry counts the rest.

use serde_json::{Value, json};

use super::text::without_nul;
use crate::station::{Plan, Rejected};

/// Maximum number of entries per run. A broken listing can produce one per record.
const MAX_ENTRIES: usize = 1000;

/// Skipped records first, then notes; `at` is the database's time.
pub(super) fn of_plan(plan: &Plan, at: &str) -> Value {
    let total = plan.skipped.len() + plan.notes.len();
    let kept = if total > MAX_ENTRIES {
        MAX_ENTRIES - 1
    } else {
        total
    };
    let skipped = plan.skipped.iter().map(|r| entry("skipped", r, at));
    let notes = plan.notes.iter().map(|r| entry("note", r, at));
    let mut entries: Vec<Value> = skipped.chain(notes).take(kept).collect();
    if total > kept {
        entries.push(json!({"message": format!("and {} more", total - kept), "timestamp": at}));
    }
    Value::Array(entries)
}

fn entry(kind: &str, rejected: &Rejected, at: &str) -> Value {
    let why = without_nul(&rejected.why);
    let serial = rejected.serial.as_deref().map(without_nul);
    let message = match &serial {
        Some(serial) => format!("{serial}: {why}"),
        None => why.into_owned(),
    };
    json!({"kind": kind, "serial": serial, "message": message, "timestamp": at})
}

#[cfg(test)]
mod tests {
    use super::{MAX_ENTRIES, of_plan};
    use crate::station::{Plan, Rejected};

    fn rejected(serial: Option<&str>) -> Rejected {
        Rejected {
            serial: serial.map(Into::into),
            why: "latitude 91".into(),
        }
    }

    #[test]
    fn entries_have_the_format_that_older_programs_read() {
        let plan = Plan {
            skipped: vec![rejected(Some("S\0"))],
            notes: vec![rejected(None)],
            ..Plan::default()
        };
        let json = of_plan(&plan, "2026-01-01T00:00:00Z");
        assert_eq!(json[0]["message"], "S\u{fffd}: latitude 91");
        assert_eq!(json[1]["message"], "latitude 91");
        assert_eq!(json[1]["timestamp"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let plan = Plan {
            skipped: vec![rejected(None); MAX_ENTRIES + 5],
            ..Plan::default()
        };
        let json = of_plan(&plan, "");
        assert_eq!(json.as_array().unwrap().len(), MAX_ENTRIES);
        assert_eq!(json[MAX_ENTRIES - 1]["message"], "and 6 more");
    }
}
