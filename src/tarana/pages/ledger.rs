//! Pure: which rows of a list are still missing, and whether the answers add up.
//!
//! The first answer tells the total and how large a page really is. From then on ranges are handed out side by side; one
//! that comes back short is continued from where it stopped. The list is always asked one row past its total, to see
//! that it ends there. Whatever contradicts the first total, or leaves a hole, makes the list incomplete.

/// Rows beyond any real fleet: a total above it is a mistake that must not cost the memory.
const MAX_ROWS: u64 = 5_000_000;

/// A stretch of rows that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tarana) struct Range {
    /// First row.
    pub(in crate::tarana) from: u64,
    to: u64,
}

/// What a list was like: enough to ask for all of it at once the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tarana) struct Shape {
    total: u64,
    stride: u64,
    /// Pages were not all of one size: better to go by the first answer again.
    ragged: bool,
}

impl Shape {
    /// A page size that the server will keep to, and that cuts the list elsewhere than it was.
    pub(in crate::tarana) fn another_page_size(self) -> u32 {
        u32::try_from(self.stride * 2 / 3).unwrap_or(u32::MAX).max(1)
    }

    /// Whether two readings cut the list at the same rows, so that both may have the same hole.
    pub(in crate::tarana) fn is_cut_like(self, other: Self) -> bool {
        let cut = |shape: Self| shape.total > shape.stride || shape.ragged;
        cut(self) && cut(other) && self.stride == other.stride
    }
}

/// Why a list is not complete, for a person.
pub(in crate::tarana) type Hole = String;

/// The state of one reading.
#[derive(Debug)]
pub(in crate::tarana) struct Ledger {
    stride: u64,
    expected: u64,
    total: Option<u64>,
    cursor: u64,
    gaps: Vec<Range>,
    rows: u64,
    ragged: bool,
}

impl Ledger {
    /// A reading in pages of `asks` rows, of a list that was like `shape` the last time.
    pub(in crate::tarana) fn new(asks: u32, shape: Option<Shape>) -> Self {
        let asks = u64::from(asks.max(1));
        let shape = shape.filter(|shape| !shape.ragged);
        Self {
            stride: shape.map_or(asks, |shape| shape.stride.clamp(1, asks)),
            expected: shape.map_or(0, |shape| shape.total),
            total: None,
            cursor: 0,
            gaps: Vec::new(),
            rows: 0,
            ragged: false,
        }
    }

    /// The next range to ask for; `None` while only answers can tell whether there is one.
    pub(in crate::tarana) fn next(&mut self) -> Option<Range> {
        if let Some(gap) = self.gaps.pop() {
            return Some(gap);
        }
        // Up to and including the total: the last range reaches beyond it.
        (self.cursor <= self.total.unwrap_or(self.expected)).then(|| {
            let range = Range {
                from: self.cursor,
                to: self.cursor + self.stride,
            };
            self.cursor = range.to;
            range
        })
    }

    /// Notes the answer to `range`: `received` rows of a list of `total`. Says how many of them, from the first, are news.
    pub(in crate::tarana) fn absorb(&mut self, range: Range, received: u64, total: u64) -> Result<u64, Hole> {
        match self.total {
            None if total > MAX_ROWS => {
                return Err(format!(
                    "it tells a total of {total} rows, more than any fleet has"
                ));
            }
            None => self.total = Some(total),
            Some(before) if before != total => {
                return Err(format!("its total changed from {before} to {total} meanwhile"));
            }
            Some(_) => {}
        }
        if received > 0 && range.from + received > total {
            return Err(format!("it has rows beyond its total of {total}"));
        }
        let open = self.cursor == range.to;
        let range = if open && received > self.stride {
            self.widen(range, received)
        } else {
            range
        };
        let wanted = range.to.min(total).saturating_sub(range.from);
        let news = received.min(wanted);
        if news == 0 && wanted > 0 {
            return Err(format!("it ends at row {} of {total}", range.from));
        }
        self.rows += news;
        if news < wanted {
            self.go_on(
                Range {
                    from: range.from + news,
                    ..range
                },
                open,
                news,
            );
        }
        self.stride = self.stride.max(received);
        Ok(news)
    }

    /// What the list was like; `Err` if rows are missing after all.
    pub(in crate::tarana) fn close(&self) -> Result<Shape, Hole> {
        match self.total {
            Some(total) if self.rows == total => Ok(Shape {
                total,
                stride: self.stride,
                ragged: self.ragged,
            }),
            total => Err(format!(
                "{} of {} rows came",
                self.rows,
                total.unwrap_or_default()
            )),
        }
    }

    /// Rows so far, and in all.
    pub(in crate::tarana) fn progress(&self) -> (u64, u64) {
        (self.rows, self.total.unwrap_or_default())
    }

    /// A server that gives more than was asked: nothing behind it is under way yet, so all of it can be taken.
    fn widen(&mut self, range: Range, received: u64) -> Range {
        self.cursor = range.from + received;
        Range {
            to: self.cursor,
            ..range
        }
    }

    /// A page that stopped early. If nothing behind it is under way, this is how large pages are here.
    fn go_on(&mut self, rest: Range, open: bool, news: u64) {
        if open && rest.from == news {
            self.stride = news;
            self.cursor = rest.from;
        } else {
            self.ragged = true;
            self.gaps.push(rest);
        }
    }
}

#[cfg(test)]
mod tests;
