//! The page pipeline: reads a whole list, several pages at a time, and proves it complete.

mod ledger;
mod walk;

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::value::RawValue;

pub(super) use self::ledger::Shape;
use self::ledger::{Hole, Ledger, Range};
pub(super) use self::walk::{Trail, walk};
use super::client::Client;
use super::envelope::Page;
use super::wire::Request;
use crate::fault::{Fault, Reason};

/// A list that is read in pages.
pub(super) trait Source: Sync {
    /// What a row becomes.
    type Row: Send;

    /// Its name, for a person.
    fn what(&self) -> String;

    /// Rows asked for at once.
    fn asks(&self) -> u32;

    /// Asks for a page that begins at row `from`.
    fn request(&self, from: u64) -> Request;

    /// Reads a page.
    fn read(&self, data: &RawValue) -> Result<Page<Self::Row>, String>;
}

/// Reads all of `source`. Each row goes to `sink` with its place in the list, in the order of arrival; a page's body is
/// gone by then. After each page `watch` is told rows so far and rows in all.
///
/// # Guarantees
/// When this returns `Ok`, every row from 0 up to the total was received exactly once, every page told the same total,
/// and the list ended there. Dropping the future ends all of its requests.
pub(super) async fn read<S: Source>(
    client: &Client,
    source: &S,
    shape: Option<Shape>,
    watch: &(dyn Fn(u64, u64) + Sync),
    sink: &mut (dyn FnMut(u64, S::Row) + Send),
) -> Result<Shape, Fault> {
    let incomplete = |hole: Hole| incomplete(&source.what(), &hole);
    let mut ledger = Ledger::new(source.asks(), shape);
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < client.in_flight()
            && let Some(range) = ledger.next()
        {
            under_way.push(one(client, source, range));
        }
        let Some(answer) = under_way.next().await else {
            break;
        };
        let (range, page) = answer?;
        consistent(range, &page).map_err(incomplete)?;
        let news = ledger
            .absorb(range, count(page.rows.len()), page.total)
            .map_err(incomplete)?;
        for (at, row) in (range.from..range.from + news).zip(page.rows) {
            sink(at, row);
        }
        let (rows, total) = ledger.progress();
        watch(rows, total);
    }
    ledger.close().map_err(incomplete)
}

async fn one<S: Source>(client: &Client, source: &S, range: Range) -> Result<(Range, Page<S::Row>), Fault> {
    let request = source.request(range.from);
    match client.call(&request, |data| source.read(data)).await {
        Ok(page) => Ok((range, page)),
        Err(fault) => Err(Fault {
            message: format!("{} (while reading {})", fault.message, source.what()),
            ..fault
        }),
    }
}

/// A page must be what it says it is: one that was cut, or that begins elsewhere, would pass for another.
fn consistent<R>(range: Range, page: &Page<R>) -> Result<(), Hole> {
    let rows = count(page.rows.len());
    match (page.offset, page.count) {
        (Some(offset), _) if offset != range.from => Err(format!(
            "asked for rows from {} on, it gave those from {offset} on",
            range.from
        )),
        (_, Some(told)) if told != rows => Err(format!("a page of {told} rows came with {rows}")),
        _ => Ok(()),
    }
}

/// A list that is not complete. It may be the next time.
pub(super) fn incomplete(what: &str, hole: &str) -> Fault {
    Fault::new(
        Reason::FetchIncomplete,
        format!("{what} is incomplete: {hole}; nothing was written"),
    )
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
