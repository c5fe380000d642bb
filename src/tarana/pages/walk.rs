//! A list that tells no total, read step by step until a page is empty. What ends it may be a hole: completeness is
//! proven by reading it again from its other end, and not here.

use serde_json::value::RawValue;

use super::{count, incomplete};
use crate::fault::Fault;
use crate::tarana::client::Client;
use crate::tarana::wire::Request;

/// More rows than any fleet has: a server that never comes to an end must not cost the memory.
const MAX_ROWS: u64 = 5_000_000;

/// A list without a total.
pub(in crate::tarana) trait Trail: Sync {
    /// What a row becomes.
    type Row: Send;

    /// Its name, for a person.
    fn what(&self) -> String;

    /// Asks for a page that begins at row `from`.
    fn request(&self, from: u64) -> Request;

    /// Reads a page.
    fn read(&self, data: &RawValue) -> Result<Vec<Self::Row>, String>;
}

/// Reads `trail` to the first page without rows. `sink` says of each row whether it is news.
pub(in crate::tarana) async fn walk<T: Trail>(
    client: &Client,
    trail: &T,
    sink: &mut (dyn FnMut(u64, T::Row) -> bool + Send),
) -> Result<(), Fault> {
    let mut from = 0;
    loop {
        let request = trail.request(from);
        let rows = client
            .call(&request, |data| trail.read(data))
            .await
            .map_err(|fault| Fault {
                message: format!("{} (while reading {})", fault.message, trail.what()),
                ..fault
            })?;
        if rows.is_empty() {
            return Ok(());
        }
        let received = count(rows.len());
        let mut news = false;
        for (at, row) in (from..).zip(rows) {
            news |= sink(at, row);
        }
        from += received;
        if !news || from > MAX_ROWS {
            let hole = format!("after {from} rows it gives the same ones again, or has no end");
            return Err(incomplete(&trail.what(), &hole));
        }
    }
}
