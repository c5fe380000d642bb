//! Reads a list that reports its total, several pages at a time, and proves it complete.

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::value::RawValue;

use super::incomplete::{Gap, incomplete, while_reading};
use super::tracker::{ListShape, PageTracker, RowRange};
use crate::fault::{Fault, Reason};
use crate::tarana::http::envelope::Page;
use crate::tarana::http::{Api, Request};

/// A list in pages that reports its total.
pub(crate) trait CountedPages: Sync {
    /// A decoded row.
    type Row: Send;

    /// The list, for messages.
    fn name(&self) -> String;

    /// Rows requested per page.
    fn page_size(&self) -> u32;

    /// The request for the page that begins at row `from`.
    fn request(&self, from: u64) -> Request;

    /// Decodes a page.
    fn decode(&self, data: &RawValue) -> Result<Page<Self::Row>, String>;
}

/// Reads all of `list`. Calls `sink` with each row and its index, in the order of arrival, and `progress` after each page
/// with the rows read and the total. `shape` is that of an earlier reading.
///
/// # Guarantees
/// On `Ok`, every row below the total was received exactly once, every page with rows reported the same total, and the list ended
/// there: the page after the last one had no rows, whatever total it reported, or was rejected. Dropping the future cancels all of its requests.
pub(crate) async fn read_counted<S: CountedPages>(
    api: &Api,
    list: &S,
    shape: Option<ListShape>,
    progress: &(dyn Fn(u64, u64) + Sync),
    sink: &mut (dyn FnMut(u64, S::Row) + Send),
) -> Result<ListShape, Fault> {
    let incomplete = |gap: Gap| incomplete(&list.name(), &gap);
    let mut tracker = PageTracker::new(list.page_size(), shape);
    let (mut in_flight, mut rejected_end) = (FuturesUnordered::new(), None);
    loop {
        while in_flight.len() < api.max_in_flight()
            && let Some(range) = tracker.next_range()
        {
            in_flight.push(read_page(api, list, range));
        }
        let Some(answer) = in_flight.next().await else {
            break;
        };
        let (range, answer) = answer;
        let page = match answer {
            // A server may reject a request for what comes after the end.
            Err(fault) if fault.reason == Reason::ApiRejected && tracker.may_end_at(range) => {
                tracker.record_end(range);
                rejected_end = Some(fault);
                continue;
            }
            answer => answer?,
        };
        check_consistent(range, &page).map_err(incomplete)?;
        let new_rows = tracker
            .record_page(range, row_count(page.rows.len()), page.total)
            .map_err(incomplete)?;
        for (index, row) in (range.from..range.from + new_rows).zip(page.rows) {
            sink(index, row);
        }
        let (rows, total) = tracker.progress();
        progress(rows, total);
    }
    // If the list has not ended there, the rejection is the cause.
    tracker
        .finish()
        .map_err(|gap| rejected_end.unwrap_or_else(|| incomplete(gap)))
}

/// The first page of `list`, which proves nothing of the rest.
pub(crate) async fn read_first_page<S: CountedPages>(api: &Api, list: &S) -> Result<Page<S::Row>, Fault> {
    let request = list.request(0);
    let page = api.call(&request, |data| list.decode(data)).await;
    page.map_err(|fault| while_reading(fault, &list.name()))
}

async fn read_page<S: CountedPages>(
    api: &Api,
    list: &S,
    range: RowRange,
) -> (RowRange, Result<Page<S::Row>, Fault>) {
    let request = list.request(range.from);
    let page = api.call(&request, |data| list.decode(data)).await;
    (range, page.map_err(|fault| while_reading(fault, &list.name())))
}

/// A page must have the offset that was requested and as many rows as its own count: otherwise a truncated or misplaced
/// page would pass for another one.
fn check_consistent<R>(range: RowRange, page: &Page<R>) -> Result<(), Gap> {
    let rows = row_count(page.rows.len());
    match (page.offset, page.count) {
        (Some(offset), _) if offset != range.from => Err(format!(
            "the page from row {} was requested and the page from row {offset} was returned",
            range.from
        )),
        (_, Some(count)) if count != rows => Err(format!("a page reports {count} rows and has {rows}")),
        _ => Ok(()),
    }
}

fn row_count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
