//! Pure: which rows of a list are still missing, and whether its pages are consistent.
//!
//! The first page reports the total and shows the real page size. From then on ranges are requested concurrently; a short
//! page is continued where it stopped. The last range always reaches one row past the total, to see that the list ends
//! there. A changed total or a gap makes the list incomplete.

use super::incomplete::Gap;

/// More rows than any fleet has: a wrong total must not exhaust the memory.
const MAX_ROWS: u64 = 5_000_000;

/// A range of rows that was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowRange {
    /// The first row.
    pub(super) from: u64,
    to: u64,
}

/// Total and page size of a list: enough to request all of it at once the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListShape {
    total: u64,
    page_size: u64,
    /// Page sizes varied, so the next reading waits for its first page again.
    is_ragged: bool,
    /// Rows on the first page.
    first_page: u64,
}

impl ListShape {
    /// A page size that the server will likely honour and that splits the list at other rows. A list of one page is split
    /// as well: the same page twice would prove nothing.
    pub(crate) fn other_page_size(self) -> u32 {
        match self.page_size.min(self.total) {
            0 | 1 => 2,
            rows => u32::try_from(rows * 2 / 3).unwrap_or(u32::MAX),
        }
    }

    /// Whether two readings had the same page boundaries although others were possible. Then the second reading proves
    /// nothing more than the first.
    pub(crate) fn has_same_pages(self, other: Self) -> bool {
        self.first_page == other.first_page && self.total > 1
    }
}

/// The progress of reading one list.
#[derive(Debug)]
pub(super) struct PageTracker {
    page_size: u64,
    expected_total: u64,
    total: Option<u64>,
    next_row: u64,
    gaps: Vec<RowRange>,
    rows: u64,
    is_ragged: bool,
    first_page: u64,
    /// The first row that a page without rows said the list does not have.
    end: Option<u64>,
}

impl PageTracker {
    /// Tracks a list in pages of `page_size` rows, which had `shape` in an earlier reading.
    pub(super) fn new(page_size: u32, shape: Option<ListShape>) -> Self {
        let page_size = u64::from(page_size.max(1));
        let shape = shape.filter(|shape| !shape.is_ragged);
        Self {
            page_size: shape.map_or(page_size, |shape| shape.page_size.clamp(1, page_size)),
            expected_total: shape.map_or(0, |shape| shape.total),
            total: None,
            next_row: 0,
            gaps: Vec::new(),
            rows: 0,
            is_ragged: false,
            first_page: 0,
            end: None,
        }
    }

    /// The API answered that there is nothing from the first row of `range` on: by a page without rows, whose total may be anything, or
    /// by rejecting the request. Whether it is right is checked at the end.
    pub(super) fn record_end(&mut self, range: RowRange) {
        self.end = Some(self.end.map_or(range.from, |end| end.min(range.from)));
    }

    /// Whether the list can end at the first row of `range`, as far as known.
    pub(super) fn may_end_at(&self, range: RowRange) -> bool {
        range.from > 0 && self.total.is_none_or(|total| range.from >= total)
    }

    /// The next range to request; `None` while nothing more can be requested before an answer arrives.
    pub(super) fn next_range(&mut self) -> Option<RowRange> {
        if let Some(gap) = self.gaps.pop() {
            return Some(gap);
        }
        // Up to and including the total: the last range reaches beyond it.
        (self.next_row <= self.total.unwrap_or(self.expected_total)).then(|| {
            let range = RowRange {
                from: self.next_row,
                to: self.next_row + self.page_size,
            };
            self.next_row = range.to;
            range
        })
    }

    /// Records the answer to `range`: `received` rows of a list of `total`. Returns how many of them, from the first, are
    /// new.
    pub(super) fn record_page(&mut self, range: RowRange, received: u64, total: u64) -> Result<u64, Gap> {
        if received == 0 && self.may_end_at(range) {
            self.record_end(range);
            return Ok(0);
        }
        match self.total {
            None if total > MAX_ROWS => {
                return Err(format!("its total of {total} rows is more than any fleet has"));
            }
            None => self.total = Some(total),
            Some(before) if before != total => {
                return Err(format!(
                    "its total changed from {before} to {total} while it was read"
                ));
            }
            Some(_) => {}
        }
        if received > 0 && range.from + received > total {
            return Err(format!("it has rows beyond its total of {total}"));
        }
        if range.from == 0 {
            self.first_page = received;
        }
        let is_last = self.next_row == range.to;
        let range = if is_last && received > self.page_size {
            self.extend(range, received)
        } else {
            range
        };
        let wanted = range.to.min(total).saturating_sub(range.from);
        let new_rows = received.min(wanted);
        if new_rows == 0 && wanted > 0 {
            return Err(format!("it ends at row {} of {total}", range.from));
        }
        self.rows += new_rows;
        if new_rows < wanted {
            let rest = RowRange {
                from: range.from + new_rows,
                ..range
            };
            self.continue_at(rest, is_last, new_rows);
        }
        self.page_size = self.page_size.max(received);
        Ok(new_rows)
    }

    /// The shape of the complete list; `Err` if rows are missing.
    pub(super) fn finish(&self) -> Result<ListShape, Gap> {
        match (self.total, self.end) {
            (Some(total), Some(end)) if end < total => Err(format!("it ends at row {end} of {total}")),
            (Some(total), _) if self.rows == total => Ok(ListShape {
                total,
                page_size: self.page_size,
                is_ragged: self.is_ragged,
                first_page: self.first_page,
            }),
            (total, _) => Err(format!(
                "{} of {} rows were received",
                self.rows,
                total.unwrap_or_default()
            )),
        }
    }

    /// Rows read so far, and the total.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.rows, self.total.unwrap_or_default())
    }

    /// The server returned more rows than requested. No later range has been requested, so all of them are taken.
    fn extend(&mut self, range: RowRange, received: u64) -> RowRange {
        self.next_row = range.from + received;
        RowRange {
            to: self.next_row,
            ..range
        }
    }

    /// Continues after a short page. If it was the first and no later range has been requested, its size becomes the page
    /// size.
    fn continue_at(&mut self, rest: RowRange, is_last: bool, new_rows: u64) {
        if is_last && rest.from == new_rows {
            self.page_size = new_rows;
            self.next_row = rest.from;
        } else {
            self.is_ragged = true;
            self.gaps.push(rest);
        }
    }
}

#[cfg(test)]
mod tests;
