use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::{ListShape, PageTracker, RowRange};

/// A list of `total` rows on a server that returns at most `cap` rows per page.
struct Server {
    total: u64,
    page_size: u64,
    cap: u64,
}

impl Server {
    fn page(&self, range: RowRange) -> u64 {
        self.total
            .saturating_sub(range.from)
            .min(self.page_size)
            .min(self.cap)
    }

    /// Reads everything with `in_flight` requests at once; `pick` chooses the next answer. Returns requests, rows and shape.
    fn read(
        &self,
        shape: Option<ListShape>,
        in_flight: usize,
        pick: &[u8],
    ) -> Result<(u64, Vec<u64>, ListShape), String> {
        let mut tracker = PageTracker::new(u32::try_from(self.page_size).unwrap(), shape);
        let (mut pending, mut requests, mut rows) = (Vec::new(), 0, Vec::new());
        loop {
            while pending.len() < in_flight
                && let Some(range) = tracker.next_range()
            {
                pending.push(range);
                requests += 1;
            }
            if pending.is_empty() {
                rows.sort_unstable();
                return tracker.finish().map(|shape| (requests, rows, shape));
            }
            let next = pick
                .get(usize::try_from(requests).unwrap() % pick.len().max(1))
                .copied()
                .unwrap_or_default();
            let range = pending.swap_remove(usize::from(next) % pending.len());
            let new_rows = tracker.record_page(range, self.page(range), self.total)?;
            rows.extend(range.from..range.from + new_rows);
        }
    }
}

#[test]
fn no_request_is_superfluous() {
    for (total, page_size, cap, requests) in [
        (718, 1000, 1000, 1),
        (718, 10, 10, 72),
        (718, 1000, 10, 72),
        (720, 10, 10, 73), // one more, to see that the list ends there
        (10, 10, 10, 2),
        (0, 10, 10, 1),
        (1, 10, 10, 1),
    ] {
        let server = Server {
            total,
            page_size,
            cap,
        };
        let (requested, rows, shape) = server.read(None, 4, &[]).unwrap();
        assert_eq!(
            (requested, rows.len() as u64),
            (requests, total),
            "{total} rows, pages of {page_size}, cap {cap}"
        );
        let (second, ..) = server.read(Some(shape), 4, &[]).unwrap();
        assert_eq!(second, requests, "the same with a remembered shape");
    }
}

#[test]
fn contradictions_are_errors() {
    let range = |tracker: &mut PageTracker| tracker.next_range().unwrap();
    let mut tracker = PageTracker::new(10, None);
    let first = range(&mut tracker);
    assert_eq!(
        tracker.next_range(),
        None,
        "the first page determines the next ranges"
    );
    assert_eq!(tracker.record_page(first, 10, 25), Ok(10));
    let (second, third) = (range(&mut tracker), range(&mut tracker));
    assert_eq!(tracker.next_range(), None);
    assert!(tracker.record_page(second, 10, 26).is_err(), "another total");
    assert!(tracker.record_page(third, 6, 25).is_err(), "beyond the total");
    assert!(
        tracker.record_page(third, 0, 25).is_err(),
        "an empty page before the end"
    );
    assert_eq!(tracker.record_page(third, 5, 25), Ok(5));
    assert!(tracker.finish().is_err(), "a gap");
    assert_eq!(tracker.record_page(second, 3, 25), Ok(3), "short");
    let rest = range(&mut tracker);
    assert_eq!(
        (rest.from, tracker.record_page(rest, 10, 25)),
        (13, Ok(7)),
        "only the missing rows are new"
    );
    assert_eq!(tracker.finish().map(|shape| shape.is_ragged), Ok(true));
}

#[test]
fn a_second_reading_has_other_page_boundaries() {
    for (total, cap) in [
        (2, 10),
        (3, 10),
        (7, 10),
        (25, 10),
        (25, 3),
        (25, 2),
        (25, 1),
        (1, 10),
    ] {
        let read = |page_size| {
            let server = Server {
                total,
                page_size,
                cap,
            };
            server.read(None, 2, &[0]).unwrap().2
        };
        let first = read(10);
        let second = read(first.other_page_size().into());
        // Pages of one row cannot be smaller, and a list of one row has no boundary.
        assert_eq!(second.has_same_pages(first), cap == 1, "{total} rows, cap {cap}");
    }
}

#[test]
fn an_absurd_total_is_an_error() {
    let mut tracker = PageTracker::new(10, None);
    let first = tracker.next_range().unwrap();
    assert!(tracker.record_page(first, 10, u64::MAX).is_err());
}

proptest! {
    #[test]
    fn every_row_is_read_once(
        total in 0..400_u64, page_size in 1..60_u64, cap in 1..60_u64, in_flight in 1..6_usize,
        before in prop::option::of((0..500_u64, 1..60_u64)), pick in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let shape = before.map(|(total, page_size)| ListShape {
            total, page_size, is_ragged: false, first_page: page_size,
        });
        let (_, rows, _) = Server { total, page_size, cap }.read(shape, in_flight, &pick).unwrap();
        prop_assert_eq!(rows, (0..total).collect::<Vec<_>>());
    }
}
