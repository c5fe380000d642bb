//! Pure: checks the records of a run, and whether a row may differ from the expected one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::batch::UserAction;
use super::database::RunRecord;
use super::expected::{ExpectedTable, RowChanges, expected_columns};
use super::row::{self, Columns};
use super::runner::{CreatedRun, Observations};
use super::testbed::condition;
use crate::simulator::Device;

/// Tolerated delay on a busy machine.
const GRACE: Duration = Duration::from_secs(10);

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunOutcome {
    Completed,
    /// With the reason.
    Failed(String),
    Cancelled,
    /// Deleted before any operator saw it.
    NeverSeen,
    /// The log row is not closed.
    Open,
}

/// The outcome that the log row records.
pub(super) fn outcome(record: &RunRecord) -> RunOutcome {
    if record.row.is_null() {
        return RunOutcome::NeverSeen;
    }
    match (record.row["status"].as_str(), record.row["outcome"].as_str()) {
        (Some("completed"), Some("completed")) => RunOutcome::Completed,
        (Some("failed"), Some("cancelled")) => RunOutcome::Cancelled,
        (Some("failed"), Some("failed")) => {
            RunOutcome::Failed(record.row["reason"].as_str().unwrap_or("(no reason)").to_owned())
        }
        _ => RunOutcome::Open,
    }
}

pub(super) fn count_column(record: &RunRecord, column: &str) -> i64 {
    record.row[column].as_i64().unwrap_or(0)
}

/// Checks a run's records. `within`: the deadline plus the extra time of the disruption. Returns the problems.
pub(super) fn check_record(run: &CreatedRun, record: &RunRecord, within: Duration) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            problems.push(what);
        }
    };
    let outcome = outcome(record);
    if outcome == RunOutcome::NeverSeen {
        check(
            run.deleted && run.request.user_action == UserAction::Delete,
            "the log row is missing".to_owned(),
        );
        return problems;
    }
    check(
        outcome != RunOutcome::Open,
        format!(
            "the log row is {} {}",
            record.row["status"], record.row["outcome"]
        ),
    );
    let phase = run.phase();
    if matches!(phase, "Completed" | "Failed" | "Cancelled") {
        let recorded = match outcome {
            RunOutcome::Completed => "Completed",
            RunOutcome::Failed(_) => "Failed",
            RunOutcome::Cancelled => "Cancelled",
            RunOutcome::NeverSeen | RunOutcome::Open => "open",
        };
        check(
            phase == recorded,
            format!("the object's phase is {phase}, the log row's {recorded}"),
        );
        check(
            condition(&run.object, "Finished")["status"] == "True",
            "it has ended and is not Finished".to_owned(),
        );
    }
    check(record.outbox == 2, format!("{} outbox rows", record.outbox));
    let wrote = outcome == RunOutcome::Completed && !run.request.dry_run;
    check(
        wrote || record.applied == 0,
        format!("{} applied change rows of a run without changes", record.applied),
    );
    let took = Duration::from_millis(u64::try_from(count_column(record, "duration_ms")).unwrap_or(0));
    check(
        took <= within + GRACE,
        format!("it took {took:.1?}, the limit is {within:.1?}"),
    );
    problems
}

/// Checks the counts of a run that received correct data.
pub(super) fn check_counts(record: &RunRecord, expected: RowChanges) -> Option<String> {
    let found = RowChanges {
        inserted: count_column(record, "inserted"),
        updated: count_column(record, "updated"),
        deleted: count_column(record, "deleted"),
    };
    let rows = found.inserted + found.updated + found.deleted;
    if found == expected && record.applied == rows {
        return None;
    }
    Some(format!(
        "it counted {found:?} with {} change rows, expected {expected:?}",
        record.applied
    ))
}

/// Checks the delete guard for `stale` of `rows` rows.
pub(super) fn check_delete_guard(
    run: &CreatedRun,
    record: &RunRecord,
    stale: usize,
    rows: i64,
    exact: bool,
) -> Option<String> {
    let stale = i64::try_from(stale).unwrap_or(i64::MAX);
    let (withheld, deleted) = (count_column(record, "withheld"), count_column(record, "deleted"));
    // 4 % and 6 %: near the guard's 5 % it depends on which rows count.
    let many = |percent: i64| stale > 10 && stale * 100 > rows * percent;
    if withheld > 0 && exact && (run.request.approved || !many(4)) {
        return Some(format!(
            "{withheld} deletes of {rows} rows were withheld without reason"
        ));
    }
    if deleted > 0 && !run.request.approved && many(6) {
        return Some(format!("the guard allowed {deleted} deletes of {rows} rows"));
    }
    None
}

/// Whether a completed run may have left this row, given the faults of the batch.
pub(super) fn is_difference_permitted(
    observed: &Observations,
    before: &ExpectedTable,
    deletes: bool,
    serial: &str,
    found: Option<&str>,
) -> bool {
    let known = before.columns(serial);
    let found = found.map(|text| row::parse(text).1);
    let devices: Vec<Option<&Device>> = observed
        .fleet_versions
        .iter()
        .map(|fleet| find_device(fleet, serial))
        .collect();
    let fleet_changed = devices.len() > 1;
    // A device may slip between two pages of a changing listing: its row may be unchanged. If the device existed throughout, its
    // row must not be deleted.
    if fleet_changed && found == known {
        return true;
    }
    let reported: Vec<Option<Columns>> = devices
        .iter()
        .map(|device| device.and_then(|device| expected_columns(device, known.as_ref())))
        .collect();
    let latin1_garbled =
        || observed.latin1 && devices.iter().flatten().any(|device| has_non_ascii_names(device));
    let defective = observed.defective.contains(serial) || latin1_garbled();
    let Some(found) = found else {
        let no_record = defective || reported.iter().any(Option::is_none);
        return (known.is_none() && no_record) || (deletes && devices.iter().any(Option::is_none));
    };
    reported.iter().flatten().any(|row| *row == found)
        || (defective && columns_permitted(serial, &found, known.as_ref(), &reported))
}

fn find_device<'a>(fleet: &'a [Device], serial: &str) -> Option<&'a Device> {
    fleet.iter().find(|row| &*row.serial == serial)
}

/// Whether the device's names contain non-ASCII letters.
fn has_non_ascii_names(device: &Device) -> bool {
    let value = device.value().unwrap_or_default();
    let read: [&Value; 2] = [&value["hostName"], &value["ancestry"]];
    read.iter().any(|part| !part.to_string().is_ascii())
}

/// Whether each column of a defective record's row is the old value, the vendor's value or the default.
fn columns_permitted(
    serial: &str,
    found: &Columns,
    known: Option<&Columns>,
    reported: &[Option<Columns>],
) -> bool {
    let defaults = row::defaults(serial);
    found.iter().enumerate().all(|(at, value)| {
        let was = known.is_some_and(|known| known[at] == *value);
        let is = reported.iter().flatten().any(|reported| reported[at] == *value);
        was || is || (known.is_none() && defaults[at] == *value)
    })
}

/// Shows the first of the rows that differ.
pub(super) fn describe_differences(
    expected: &ExpectedTable,
    found: &HashMap<String, String>,
    differing: &[String],
) -> String {
    let readable = |text: &str| text.replace(['\u{1f}', '\u{1e}'], "|");
    let mut shown = format!("{} rows differ", differing.len());
    for serial in differing.iter().take(3) {
        let expected_row = expected
            .text(serial)
            .map_or_else(|| "(no row)".to_owned(), readable);
        let found_row = found
            .get(serial)
            .map_or_else(|| "(no row)".to_owned(), |text| readable(text));
        let _ = write!(shown, "\n    expected {expected_row}\n    found    {found_row}");
    }
    shown
}
