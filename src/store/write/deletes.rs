//! Deletes stale rows. One that other tables refer to is kept and recorded as withheld.

use super::rejection::Rejection;
use super::statements::DELETE;
use super::writer::Writer;
use crate::fault::Fault;
use crate::station::Row;
use crate::store::changes::Op;

/// Rows that one statement deletes. Other tables reference them, perhaps without an index.
const DELETE_CHUNK: usize = 500;
/// Rows that the reason names. The others are in the notes.
const NAMED: usize = 3;

/// Deletes the rows, and records which were deleted and which not. A dry run tries it and undoes it.
pub(super) async fn write(w: &mut Writer<'_>, rows: &[&Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    if w.dry_run {
        // A deferred constraint would be checked at the commit.
        let begin = "SAVEPOINT trial; SET CONSTRAINTS ALL IMMEDIATE";
        w.tx.script(begin.to_owned()).await?;
    }
    w.begin().await?;
    let kept = try_all(w, rows).await?;
    if w.dry_run {
        let end = "ROLLBACK TO SAVEPOINT trial; RELEASE SAVEPOINT trial";
        w.tx.script(end.to_owned()).await?;
    } else {
        w.end().await?;
    }
    let is_kept = |at: &usize| kept.binary_search_by_key(at, |(kept, _)| *kept).is_ok();
    let deleted: Vec<&Row> = (0..rows.len())
        .filter(|at| !is_kept(at))
        .map(|at| rows[at])
        .collect();
    w.record_rows(Op::Delete, !w.dry_run, &deleted).await?;
    let withheld: Vec<&Row> = kept.iter().map(|(at, _)| rows[*at]).collect();
    w.record_rows(Op::Withhold, false, &withheld).await?;
    report(w, rows, &kept);
    Ok(())
}

/// The rows that could not be deleted, in their order.
async fn try_all(w: &mut Writer<'_>, rows: &[&Row]) -> Result<Vec<(usize, Rejection)>, Fault> {
    let mut kept = Vec::new();
    let chunks = (0..rows.len()).step_by(DELETE_CHUNK);
    let mut left: Vec<_> = chunks
        .map(|at| at..rows.len().min(at + DELETE_CHUNK))
        .rev()
        .collect();
    while let Some(range) = left.pop() {
        let serials: Vec<&str> = rows[range.clone()]
            .iter()
            .map(|row| row.serial.as_str())
            .collect();
        let delete = sqlx::query(DELETE).bind(serials);
        match w.attempt(delete, range.len()).await? {
            None => w.keep().await?,
            Some(rejection) if range.len() == 1 => kept.push((range.start, rejection)),
            Some(_) => {
                let middle = range.start + range.len() / 2;
                left.extend([middle..range.end, range.start..middle]);
            }
        }
    }
    Ok(kept)
}

fn report(w: &mut Writer<'_>, rows: &[&Row], kept: &[(usize, Rejection)]) {
    if kept.is_empty() {
        return;
    }
    let count = i64::try_from(kept.len()).unwrap_or(i64::MAX);
    w.result.counts.deleted -= count;
    w.result.counts.withheld += count;
    for (at, rejection) in kept {
        w.note(
            &rows[*at].serial,
            format!(
                "stale, but the database does not delete the row: {}",
                rejection.why
            ),
        );
    }
    let named: Vec<String> = kept
        .iter()
        .take(NAMED)
        .map(|(at, rejection)| format!("{}: {}", rows[*at].serial, rejection.why))
        .collect();
    let others = match kept.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!("; and {others} more"),
    };
    w.result.withheld_because = Some(format!(
        "kept {count} stale rows that the database does not delete: {}{others}; remove what refers to these rows, then sync again",
        named.join("; ")
    ));
}
