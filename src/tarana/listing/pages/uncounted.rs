//! Reads a list that reports no total, page by page until one is empty. An empty page may also be a gap: `proof` reads the
//! list again from its other end.

use serde_json::value::RawValue;

use super::incomplete::{incomplete, while_reading};
use crate::fault::Fault;
use crate::tarana::http::{Api, Request};

/// More rows than any fleet has: an endless list must not exhaust the memory.
const MAX_ROWS: u64 = 5_000_000;

/// A list in pages that reports no total.
pub(crate) trait UncountedPages: Sync {
    /// A decoded row.
    type Row: Send;

    /// The list, for messages.
    fn name(&self) -> String;

    /// The request for the page that begins at row `from`.
    fn request(&self, from: u64) -> Request;

    /// Decodes a page.
    fn decode(&self, data: &RawValue) -> Result<Vec<Self::Row>, String>;
}

/// The first page of `list`, which proves nothing of the rest.
pub(crate) async fn read_first_rows<T: UncountedPages>(api: &Api, list: &T) -> Result<Vec<T::Row>, Fault> {
    read_rows(api, list, 0).await
}

async fn read_rows<T: UncountedPages>(api: &Api, list: &T, from: u64) -> Result<Vec<T::Row>, Fault> {
    let request = list.request(from);
    let rows = api.call(&request, |data| list.decode(data)).await;
    rows.map_err(|fault| while_reading(fault, &list.name()))
}

/// Reads `list` up to the first empty page. `sink` returns whether a row is new. Calls `progress` after each page with the rows
/// read.
pub(crate) async fn read_uncounted<T: UncountedPages>(
    api: &Api,
    list: &T,
    progress: &(dyn Fn(u64) + Sync),
    sink: &mut (dyn FnMut(u64, T::Row) -> bool + Send),
) -> Result<(), Fault> {
    let mut from = 0;
    loop {
        let rows = read_rows(api, list, from).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let received = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut any_new = false;
        for (index, row) in (from..).zip(rows) {
            any_new |= sink(index, row);
        }
        from += received;
        progress(from);
        if !any_new || from > MAX_ROWS {
            let gap = format!("after {from} rows it repeats the same ones, or it has no end");
            return Err(incomplete(&list.name(), &gap));
        }
    }
}
