//! Pure: verifies the result of a run under vendor faults.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tarana_operator::api::sync::{Counts, Phase};

use super::allowed_rows::{Defect, Inputs};
use super::case::{Case, Expected};
use super::expectations::{RecordResult, record_result};
use super::worker::RunResult;

/// Maximum size of a status in bytes: the API server and the operator keep all objects in memory.
const STATUS_LIMIT: usize = 4096;
/// Seconds after the deadline within which a run must end on a busy machine.
const GRACE: i64 = 30;

/// Describes the first violation with everything that is needed to repeat the run.
pub fn check_result(case: &Case, result: &RunResult) -> Result<(), String> {
    check_all(case, result).map_err(|error| {
        let status = serde_json::to_string_pretty(&result.sync.status).unwrap();
        let rules: Vec<Value> = result.rules.iter().map(|rule| json!(rule)).collect();
        format!(
            "{}: {error}\n{case:#?}\nrules, as they fired: {}\nstatus: {status}\nlog row: {:#}\ndefects: {:?}",
            case.name,
            json!(rules),
            result.log_row,
            result.defects
        )
    })
}

fn check_all(case: &Case, result: &RunResult) -> Result<(), String> {
    check_expectation(case, result)?;
    check_log_and_status(case, result)?;
    if result.phase() == Phase::Completed {
        ensure(
            case.expected != Expected::Consistent || !result.after.is_empty(),
            || "the table is empty".into(),
        )?;
        check_table(case, result)?;
        check_changes(result)
    } else {
        ensure(result.untouched, || {
            format!(
                "the table was written by a run that is not Completed: {}",
                difference(result)
            )
        })?;
        ensure(result.changes.is_empty(), || {
            format!(
                "{} change rows of a run that changed nothing",
                result.changes.len()
            )
        })
    }
}

fn ensure(condition: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(error()) }
}

fn check_expectation(case: &Case, result: &RunResult) -> Result<(), String> {
    if case.expected != Expected::Consistent {
        for rule in &result.rules {
            ensure(rule.fired > 0, || format!("this rule never fired: {rule:?}"))?;
        }
    }
    let found = (result.phase(), result.reason());
    let conditions = &result.sync.status.as_ref().unwrap().conditions;
    let is_expected = match case.expected {
        Expected::Consistent => matches!(found.0, Phase::Completed | Phase::Failed),
        Expected::Exact | Expected::Defective | Expected::Withheld(_) => found.0 == Phase::Completed,
        Expected::Fails(reason) => found.0 == Phase::Failed && found.1 == reason,
    };
    ensure(is_expected, || {
        format!("expected {:?}, found {found:?}: {conditions:?}", case.expected)
    })?;
    match case.expected {
        Expected::Withheld(minimum) => {
            let withheld = counts(result).withheld;
            ensure(withheld >= i64::try_from(minimum).unwrap(), || {
                format!("only {withheld} rows were withheld")
            })
        }
        _ => Ok(()),
    }
}

fn counts(result: &RunResult) -> Counts {
    result
        .sync
        .status
        .clone()
        .unwrap_or_default()
        .counts
        .unwrap_or_default()
}

/// Checks duration, size of the status, log row and outbox.
fn check_log_and_status(case: &Case, result: &RunResult) -> Result<(), String> {
    let status = result.sync.status.clone().unwrap_or_default();
    let (Some(start), Some(stop)) = (&status.start_time, &status.completion_time) else {
        return Err("the status has no startTime or no completionTime".into());
    };
    let took = stop.0.duration_since(start.0).as_secs();
    ensure(took <= case.deadline + GRACE, || {
        format!("it took {took} s of {}", case.deadline)
    })?;
    let size = serde_json::to_string(&status).unwrap().len();
    ensure(size <= STATUS_LIMIT, || format!("a status of {size} bytes"))?;
    let ended = if result.phase() == Phase::Completed {
        "completed"
    } else {
        "failed"
    };
    ensure(result.log_row["status"] == ended, || {
        format!("the log row is {}", result.log_row["status"])
    })?;
    // The object reports withheld deletes in a condition of their own. A log row has only one reason.
    let reason = if counts(result).withheld > 0 {
        "DeletesWithheld".to_owned()
    } else {
        result.reason()
    };
    ensure(result.log_row["reason"] == reason, || {
        format!("the log row's reason is {}", result.log_row["reason"])
    })?;
    ensure(result.open == 0, || {
        format!("{} log rows are still open", result.open)
    })?;
    ensure(result.outbox == 2, || format!("{} outbox rows", result.outbox))
}

/// Every row of the table is one of the allowed rows.
fn check_table(case: &Case, result: &RunResult) -> Result<(), String> {
    let has_unidentified = result.defects.values().flatten().any(|defect| match defect {
        Defect::Record(defect) => record_result(*defect) == RecordResult::Unidentified,
        Defect::Latin1 => false,
    });
    let withheld = counts(result).withheld > 0;
    // Deletes may be withheld only if the guard is low or a record could not be identified.
    let may_withhold = has_unidentified || case.guard < 1000;
    ensure(!withheld || may_withhold, || {
        "rows were withheld without reason".into()
    })?;
    let strict = matches!(case.expected, Expected::Exact | Expected::Defective);
    let inputs = Inputs {
        before: &result.before,
        fleets: &result.fleets,
        defects: &result.defects,
        keeps_stale: !case.delete_stale || withheld,
        strict,
    };
    if strict {
        ensure(!has_unidentified || counts(result).deleted == 0, || {
            "rows were deleted although a record could not be identified".into()
        })?;
    }
    let serials: BTreeSet<String> = inputs
        .serials()
        .into_iter()
        .chain(result.after.keys().cloned())
        .collect();
    for serial in serials {
        let (found, mut allowed) = (result.after.get(&serial), inputs.allowed_rows(&serial));
        if matches!(case.expected, Expected::Withheld(_)) {
            // The vendor may not list it: the row is unchanged.
            allowed.push(result.before.get(&serial).cloned());
        }
        ensure(allowed.iter().any(|allowed| allowed.as_ref() == found), || {
            format!(
                "{serial} is\n{found:?}, was\n{:?}, allowed are\n{allowed:#?}",
                result.before.get(&serial)
            )
        })?;
    }
    Ok(())
}

/// Change rows and counts equal the difference between the tables.
fn check_changes(result: &RunResult) -> Result<(), String> {
    let mut recorded: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let (mut applied, mut withheld) = (0, 0);
    for change in &result.changes {
        if change["applied"] == false {
            withheld += 1;
            continue;
        }
        applied += 1;
        let (op, serial) = (change["op"].as_str().unwrap(), change["serial"].as_str().unwrap());
        recorded.entry(op).or_default().insert(serial);
        check_side(&change["after"], result.after.get(serial), serial)?;
        check_side(&change["before"], result.before.get(serial), serial)?;
    }
    let (before, after) = (&result.before, &result.after);
    let differs = |serial: &&String| before.get(*serial).is_some_and(|row| *row != after[*serial]);
    let found = [
        ("insert", set(after.keys().filter(|s| !before.contains_key(*s)))),
        ("update", set(after.keys().filter(differs))),
        ("delete", set(before.keys().filter(|s| !after.contains_key(*s)))),
    ];
    for (op, serials) in &found {
        let recorded = recorded.remove(op).unwrap_or_default();
        ensure(recorded == *serials, || {
            format!("{op}: change rows {recorded:?}, table {serials:?}")
        })?;
    }
    let sizes = found.map(|(_, serials)| i64::try_from(serials.len()).unwrap());
    let counts = counts(result);
    ensure([counts.inserted, counts.updated, counts.deleted] == sizes, || {
        format!("the status counts {counts:?}, the table differs by {sizes:?}")
    })?;
    ensure(
        applied == sizes.iter().sum::<i64>() && withheld == counts.withheld,
        || format!("{applied} applied and {withheld} withheld change rows"),
    )?;
    let sum = counts.inserted + counts.updated + counts.unchanged + counts.skipped;
    ensure(counts.fetched == sum, || format!("{counts:?} do not add up"))?;
    let names = ["inserted", "updated", "deleted"].map(|name| result.log_row[name].as_i64().unwrap_or(-1));
    ensure(names == sizes, || {
        format!("the log row counts {names:?}, the table differs by {sizes:?}")
    })
}

/// Every column in this side of a change row equals that of the table.
fn check_side(side: &Value, row: Option<&Value>, serial: &str) -> Result<(), String> {
    for (column, value) in side.as_object().into_iter().flatten() {
        let Some(found) = row.and_then(|row| row.get(column)) else {
            continue;
        };
        let same = value == found
            || value
                .as_f64()
                .is_some_and(|number| Some(number) == found.as_f64());
        ensure(same, || {
            format!("{serial}.{column}: change row {value}, table {found}")
        })?;
    }
    Ok(())
}

fn difference(result: &RunResult) -> String {
    let changed = result
        .after
        .iter()
        .filter(|(serial, row)| result.before.get(*serial) != Some(row));
    let gone = result
        .before
        .keys()
        .filter(|serial| !result.after.contains_key(*serial));
    format!(
        "changed {:?}, gone {:?}",
        changed.collect::<Vec<_>>(),
        gone.collect::<Vec<_>>()
    )
}

fn set<'a>(serials: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    serials.map(String::as_str).collect()
}
