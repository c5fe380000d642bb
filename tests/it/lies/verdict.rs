//! Pure: whether a run under lies ended as it may.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tarana_operator::api::sync::{Counts, Phase};

use super::allowed::{Spoilt, Told};
use super::case::{Case, Expected};
use super::lane::End;
use super::table::{Fate, fate};

/// Kubernetes keeps the objects in memory: a status must stay small.
const STATUS_LIMIT: usize = 4096;
/// Seconds in which a run that is late must be over. What hangs takes for ever; a busy machine takes some.
const GRACE: i64 = 30;

/// What is wrong, with all that is needed to repeat the run.
pub fn judge(case: &Case, end: &End) -> Result<(), String> {
    verdict(case, end).map_err(|wrong| {
        let status = serde_json::to_string_pretty(&end.sync.status).unwrap();
        let rules: Vec<Value> = end.rules.iter().map(|rule| json!(rule)).collect();
        format!(
            "{}: {wrong}\n{case:#?}\nrules, as they fired: {}\nstatus: {status}\nlog row: {:#}\nspoilt: {:?}",
            case.name,
            json!(rules),
            end.log,
            end.fates
        )
    })
}

fn verdict(case: &Case, end: &End) -> Result<(), String> {
    as_expected(case, end)?;
    books(case, end)?;
    if end.phase() == Phase::Completed {
        check(case.expected != Expected::Sound || !end.after.is_empty(), || {
            "the table is empty".into()
        })?;
        table(case, end)?;
        changes(end)
    } else {
        check(end.untouched, || {
            format!(
                "not Completed, and yet the table was written: {}",
                difference(end)
            )
        })?;
        check(end.changes.is_empty(), || {
            format!("{} change rows of a run that changed nothing", end.changes.len())
        })
    }
}

fn check(holds: bool, or: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(or()) }
}

fn as_expected(case: &Case, end: &End) -> Result<(), String> {
    if case.expected != Expected::Sound {
        for rule in &end.rules {
            check(rule.fired > 0, || format!("this rule never fired: {rule:?}"))?;
        }
    }
    let found = (end.phase(), end.reason());
    let message = &end.sync.status.as_ref().unwrap().conditions;
    let fine = match case.expected {
        Expected::Sound => matches!(found.0, Phase::Completed | Phase::Failed),
        Expected::Exact | Expected::Blemished | Expected::Guarded(_) => found.0 == Phase::Completed,
        Expected::Refused(reason) => found.0 == Phase::Failed && found.1 == reason,
    };
    check(fine, || {
        format!("expected {:?}, found {found:?}: {message:?}", case.expected)
    })?;
    match case.expected {
        Expected::Guarded(least) => {
            let withheld = counts(end).withheld;
            check(withheld >= i64::try_from(least).unwrap(), || {
                format!("only {withheld} rows were withheld")
            })
        }
        _ => Ok(()),
    }
}

fn counts(end: &End) -> Counts {
    end.sync
        .status
        .clone()
        .unwrap_or_default()
        .counts
        .unwrap_or_default()
}

/// Time, log row, outbox, size of the status.
fn books(case: &Case, end: &End) -> Result<(), String> {
    let status = end.sync.status.clone().unwrap_or_default();
    let (Some(start), Some(stop)) = (&status.start_time, &status.completion_time) else {
        return Err("no start or no end".into());
    };
    let took = stop.0.duration_since(start.0).as_secs();
    check(took <= case.deadline + GRACE, || {
        format!("it took {took} s of {}", case.deadline)
    })?;
    let size = serde_json::to_string(&status).unwrap().len();
    check(size <= STATUS_LIMIT, || format!("a status of {size} bytes"))?;
    let ended = if end.phase() == Phase::Completed {
        "completed"
    } else {
        "failed"
    };
    check(end.log["status"] == ended, || {
        format!("the log row is {}", end.log["status"])
    })?;
    // The object has a condition of its own for deletes that were withheld; a log row has one reason.
    let reason = if counts(end).withheld > 0 {
        "DeletesWithheld".to_owned()
    } else {
        end.reason()
    };
    check(end.log["reason"] == reason, || {
        format!("the log row's reason is {}", end.log["reason"])
    })?;
    check(end.open == 0, || format!("{} log rows are still open", end.open))?;
    check(end.outbox == 1, || format!("{} outbox rows", end.outbox))
}

/// Every station's row is one that it may have.
fn table(case: &Case, end: &End) -> Result<(), String> {
    let unidentified = end.fates.values().flatten().any(|spoilt| match spoilt {
        Spoilt::By(blemish) => fate(*blemish) == Fate::Unidentified,
        Spoilt::Latin1 => false,
    });
    let withheld = counts(end).withheld > 0;
    // A guard that was never reached, or a strange record, is no reason to keep rows.
    let may_withhold = unidentified || case.guard < 1000;
    check(!withheld || may_withhold, || {
        "rows were withheld for no reason".into()
    })?;
    let strict = matches!(case.expected, Expected::Exact | Expected::Blemished);
    let told = Told {
        before: &end.before,
        fleets: &end.fleets,
        fates: &end.fates,
        keeps_stale: !case.delete_stale || withheld,
        strict,
    };
    if strict {
        check(!unidentified || counts(end).deleted == 0, || {
            "rows were deleted beside a record of nobody".into()
        })?;
    }
    let serials: BTreeSet<String> = told
        .serials()
        .into_iter()
        .chain(end.after.keys().cloned())
        .collect();
    for serial in serials {
        let (found, mut allowed) = (end.after.get(&serial), told.allowed(&serial));
        if matches!(case.expected, Expected::Guarded(_)) {
            // The vendor does not list it, and so it stays as it was.
            allowed.push(end.before.get(&serial).cloned());
        }
        check(allowed.iter().any(|allowed| allowed.as_ref() == found), || {
            format!(
                "{serial} is\n{found:?}, was\n{:?}, and may be\n{allowed:#?}",
                end.before.get(&serial)
            )
        })?;
    }
    Ok(())
}

/// The change rows and the counts tell the difference between the tables, and nothing else.
fn changes(end: &End) -> Result<(), String> {
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let (mut applied, mut kept) = (0, 0);
    for change in &end.changes {
        if change["applied"] == false {
            kept += 1;
            continue;
        }
        applied += 1;
        let (op, serial) = (change["op"].as_str().unwrap(), change["serial"].as_str().unwrap());
        told.entry(op).or_default().insert(serial);
        shows(&change["after"], end.after.get(serial), serial)?;
        shows(&change["before"], end.before.get(serial), serial)?;
    }
    let (before, after) = (&end.before, &end.after);
    let differs = |serial: &&String| before.get(*serial).is_some_and(|row| *row != after[*serial]);
    let found = [
        ("insert", set(after.keys().filter(|s| !before.contains_key(*s)))),
        ("update", set(after.keys().filter(differs))),
        ("delete", set(before.keys().filter(|s| !after.contains_key(*s)))),
    ];
    for (op, serials) in &found {
        let told = told.remove(op).unwrap_or_default();
        check(told == *serials, || {
            format!("change rows tell of {op} {told:?}, the table of {serials:?}")
        })?;
    }
    let sizes = found.map(|(_, serials)| i64::try_from(serials.len()).unwrap());
    let counts = counts(end);
    check([counts.inserted, counts.updated, counts.deleted] == sizes, || {
        format!("{counts:?}, the table says {sizes:?}")
    })?;
    check(
        applied == sizes.iter().sum::<i64>() && kept == counts.withheld,
        || format!("{applied} and {kept} change rows"),
    )?;
    let sum = counts.inserted + counts.updated + counts.unchanged + counts.skipped;
    check(counts.fetched == sum, || format!("{counts:?} do not add up"))?;
    let names = ["inserted", "updated", "deleted"].map(|name| end.log[name].as_i64().unwrap_or(-1));
    check(names == sizes, || {
        format!("the log row counts {names:?}, the table {sizes:?}")
    })
}

/// Every column that a change row tells is as the table has it.
fn shows(told: &Value, row: Option<&Value>, serial: &str) -> Result<(), String> {
    for (column, value) in told.as_object().into_iter().flatten() {
        let Some(found) = row.and_then(|row| row.get(column)) else {
            continue;
        };
        let same = value == found
            || value
                .as_f64()
                .is_some_and(|number| Some(number) == found.as_f64());
        check(same, || {
            format!("the change row of {serial} says {column} = {value}, the table {found}")
        })?;
    }
    Ok(())
}

fn difference(end: &End) -> String {
    let changed = end
        .after
        .iter()
        .filter(|(serial, row)| end.before.get(*serial) != Some(row));
    let gone = end
        .before
        .keys()
        .filter(|serial| !end.after.contains_key(*serial));
    format!(
        "changed {:?}, gone {:?}",
        changed.collect::<Vec<_>>(),
        gone.collect::<Vec<_>>()
    )
}

fn set<'a>(serials: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    serials.map(String::as_str).collect()
}
