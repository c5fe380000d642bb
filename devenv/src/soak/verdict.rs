//! Pure: whether a run's books are in order, and whether a row may be as it is.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::batch::Meddling;
use super::ledger::{Delta, Ledger, honest};
use super::play::{Asked, Played};
use super::row::{self, Columns};
use super::stage::condition;
use super::table::Books;
use crate::simulator::Row;

/// What a busy machine may be late by.
const GRACE: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    /// With its reason.
    Failed(String),
    Cancelled,
    /// Deleted before any operator saw it.
    Unseen,
    /// Not at all, as far as the log row tells.
    Open,
}

/// What the log row says.
pub(super) fn end(books: &Books) -> End {
    if books.row.is_null() {
        return End::Unseen;
    }
    match (books.row["status"].as_str(), books.row["outcome"].as_str()) {
        (Some("completed"), Some("completed")) => End::Completed,
        (Some("failed"), Some("cancelled")) => End::Cancelled,
        (Some("failed"), Some("failed")) => {
            End::Failed(books.row["reason"].as_str().unwrap_or("(no reason)").to_owned())
        }
        _ => End::Open,
    }
}

pub(super) fn number(books: &Books, column: &str) -> i64 {
    books.row[column].as_i64().unwrap_or(0)
}

/// What is wrong with what is written of a run. `within`: its deadline, and what excuses it.
pub(super) fn books(asked: &Asked, books: &Books, within: Duration) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let end = end(books);
    if end == End::Unseen {
        check(
            asked.gone && asked.wish.meddling == Meddling::Delete,
            "it has no log row".to_owned(),
        );
        return wrong;
    }
    check(
        end != End::Open,
        format!("its log row is {} {}", books.row["status"], books.row["outcome"]),
    );
    let phase = asked.phase();
    if matches!(phase, "Completed" | "Failed" | "Cancelled") {
        let told = match end {
            End::Completed => "Completed",
            End::Failed(_) => "Failed",
            End::Cancelled => "Cancelled",
            End::Unseen | End::Open => "open",
        };
        check(
            phase == told,
            format!("the object says {phase}, the log row {told}"),
        );
        check(
            condition(&asked.object, "Finished")["status"] == "True",
            "it is over and not Finished".to_owned(),
        );
    }
    check(books.outbox == 1, format!("{} outbox rows", books.outbox));
    let wrote = end == End::Completed && !asked.wish.dry_run;
    check(
        wrote || books.applied == 0,
        format!(
            "{} applied change rows of a run that changes nothing",
            books.applied
        ),
    );
    let took = Duration::from_millis(u64::try_from(number(books, "duration_ms")).unwrap_or(0));
    check(
        took <= within + GRACE,
        format!("it took {took:.1?} and had {within:.1?}"),
    );
    wrong
}

/// What is wrong with the counts of a run that was told nothing but the truth.
pub(super) fn counts(told: &Books, delta: Delta) -> Option<String> {
    let found = Delta {
        inserted: number(told, "inserted"),
        updated: number(told, "updated"),
        deleted: number(told, "deleted"),
    };
    let rows = found.inserted + found.updated + found.deleted;
    if found == delta && told.applied == rows {
        return None;
    }
    Some(format!(
        "it counts {found:?} with {} change rows, and did {delta:?}",
        told.applied
    ))
}

/// What is wrong with the delete guard's work: `stale` of `rows` rows.
pub(super) fn guard(asked: &Asked, told: &Books, stale: usize, rows: i64, certain: bool) -> Option<String> {
    let stale = i64::try_from(stale).unwrap_or(i64::MAX);
    let (withheld, deleted) = (number(told, "withheld"), number(told, "deleted"));
    // Exactly five of a hundred is a matter of which rows count; a little off is not.
    let many = |percent: i64| stale > 10 && stale * 100 > rows * percent;
    if withheld > 0 && certain && (asked.wish.approved || !many(4)) {
        return Some(format!(
            "{withheld} deletes of {rows} rows were withheld for no reason"
        ));
    }
    if deleted > 0 && !asked.wish.approved && many(6) {
        return Some(format!("the guard let {deleted} deletes of {rows} rows pass"));
    }
    None
}

/// Whether a completed run may have left this row, after what the batch was told.
pub(super) fn may_be(
    played: &Played,
    before: &Ledger,
    deletes: bool,
    serial: &str,
    found: Option<&str>,
) -> bool {
    let known = before.columns(serial);
    let found = found.map(|text| row::parse(text).1);
    let devices: Vec<Option<&Row>> = played.fleets.iter().map(|fleet| find(fleet, serial)).collect();
    let moved = devices.len() > 1;
    // It slipped between two pages of a list that changed; never if it stood throughout and is gone now.
    if moved && found == known {
        return true;
    }
    let told: Vec<Option<Columns>> = devices
        .iter()
        .map(|device| device.and_then(|device| honest(device, known.as_ref())))
        .collect();
    let foreign = || played.latin1 && devices.iter().flatten().any(|device| is_foreign(device));
    let spoilt = played.spoilt.contains(serial) || foreign();
    let Some(found) = found else {
        let nothing_told = spoilt || told.iter().any(Option::is_none);
        return (known.is_none() && nothing_told) || (deletes && devices.iter().any(Option::is_none));
    };
    told.iter().flatten().any(|row| *row == found)
        || (spoilt && column_by_column(serial, &found, known.as_ref(), &told))
}

fn find<'a>(fleet: &'a [Row], serial: &str) -> Option<&'a Row> {
    fleet.iter().find(|row| &*row.serial == serial)
}

/// Whether what is read of a device has letters beyond ASCII.
fn is_foreign(device: &Row) -> bool {
    let value = device.value().unwrap_or_default();
    let read: [&Value; 2] = [&value["hostName"], &value["ancestry"]];
    read.iter().any(|part| !part.to_string().is_ascii())
}

/// Of a record that was spoilt, each column is as it was, as the vendor has it, or as a new row has it.
fn column_by_column(
    serial: &str,
    found: &Columns,
    known: Option<&Columns>,
    told: &[Option<Columns>],
) -> bool {
    let fallbacks = row::fallbacks(serial);
    found.iter().enumerate().all(|(at, value)| {
        let was = known.is_some_and(|known| known[at] == *value);
        let is = told.iter().flatten().any(|told| told[at] == *value);
        was || is || (known.is_none() && fallbacks[at] == *value)
    })
}

/// A few of the rows that may not be, for a person.
pub(super) fn show(ledger: &Ledger, found: &HashMap<String, String>, wrong: &[String]) -> String {
    let readable = |text: &str| text.replace(['\u{1f}', '\u{1e}'], "|");
    let mut shown = format!("{} rows differ", wrong.len());
    for serial in wrong.iter().take(3) {
        let must = ledger
            .text(serial)
            .map_or_else(|| "(no row)".to_owned(), readable);
        let is = found
            .get(serial)
            .map_or_else(|| "(no row)".to_owned(), |text| readable(text));
        let _ = write!(shown, "\n    must be {must}\n    is      {is}");
    }
    shown
}
