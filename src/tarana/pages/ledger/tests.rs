use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::{Ledger, Range, Shape};

/// A list of `truth` rows behind a server that gives at most `cap` of them at once.
struct Server {
    truth: u64,
    asks: u64,
    cap: u64,
}

impl Server {
    fn page(&self, range: Range) -> u64 {
        self.truth.saturating_sub(range.from).min(self.asks).min(self.cap)
    }

    /// Reads everything, `in_flight` at once; `pick` says which answer comes next. Returns requests and rows.
    fn read(
        &self,
        shape: Option<Shape>,
        in_flight: usize,
        pick: &[u8],
    ) -> Result<(u64, Vec<u64>, Shape), String> {
        let mut ledger = Ledger::new(u32::try_from(self.asks).unwrap(), shape);
        let (mut under_way, mut requests, mut rows) = (Vec::new(), 0, Vec::new());
        loop {
            while under_way.len() < in_flight
                && let Some(range) = ledger.next()
            {
                under_way.push(range);
                requests += 1;
            }
            if under_way.is_empty() {
                rows.sort_unstable();
                return ledger.close().map(|shape| (requests, rows, shape));
            }
            let next = pick
                .get(usize::try_from(requests).unwrap() % pick.len().max(1))
                .copied()
                .unwrap_or_default();
            let range = under_way.swap_remove(usize::from(next) % under_way.len());
            let news = ledger.absorb(range, self.page(range), self.truth)?;
            rows.extend(range.from..range.from + news);
        }
    }
}

#[test]
fn no_request_too_many() {
    for (truth, asks, cap, requests) in [
        (718, 1000, 1000, 1),
        (718, 10, 10, 72),
        (718, 1000, 10, 72),
        (720, 10, 10, 73), // one more, to see that it ends there
        (10, 10, 10, 2),
        (0, 10, 10, 1),
        (1, 10, 10, 1),
    ] {
        let server = Server { truth, asks, cap };
        let (asked, rows, shape) = server.read(None, 4, &[]).unwrap();
        assert_eq!(
            (asked, rows.len() as u64),
            (requests, truth),
            "{truth} rows, {asks} asked, {cap} at most"
        );
        let (again, ..) = server.read(Some(shape), 4, &[]).unwrap();
        assert_eq!(again, requests, "the same when remembered");
    }
}

#[test]
fn contradictions() {
    let range = |ledger: &mut Ledger| ledger.next().unwrap();
    let mut ledger = Ledger::new(10, None);
    let first = range(&mut ledger);
    assert_eq!(ledger.next(), None, "the first answer tells how to go on");
    assert_eq!(ledger.absorb(first, 10, 25), Ok(10));
    let (second, third) = (range(&mut ledger), range(&mut ledger));
    assert_eq!(ledger.next(), None);
    assert!(ledger.absorb(second, 10, 26).is_err(), "another total");
    assert!(ledger.absorb(third, 6, 25).is_err(), "beyond the total");
    assert!(ledger.absorb(third, 0, 25).is_err(), "an end before the end");
    assert_eq!(ledger.absorb(third, 5, 25), Ok(5));
    assert!(ledger.close().is_err(), "a hole");
    assert_eq!(ledger.absorb(second, 3, 25), Ok(3), "short");
    let rest = range(&mut ledger);
    assert_eq!(
        (rest.from, ledger.absorb(rest, 10, 25)),
        (13, Ok(7)),
        "only what was missing is news"
    );
    assert_eq!(ledger.close().map(|shape| shape.ragged), Ok(true));
}

#[test]
fn a_second_reading_is_cut_elsewhere() {
    for (truth, cap) in [
        (2, 10),
        (3, 10),
        (7, 10),
        (25, 10),
        (25, 3),
        (25, 2),
        (25, 1),
        (1, 10),
    ] {
        let read = |asks| Server { truth, asks, cap }.read(None, 2, &[0]).unwrap().2;
        let first = read(10);
        let second = read(first.another_page_size().into());
        // A server that gives one row at a time cannot be asked for less, and a list of one row cannot be cut.
        assert_eq!(second.is_cut_like(first), cap == 1, "{truth} rows, {cap} at once");
    }
}

#[test]
fn an_absurd_total_is_refused() {
    let mut ledger = Ledger::new(10, None);
    let first = ledger.next().unwrap();
    assert!(ledger.absorb(first, 10, u64::MAX).is_err());
}

proptest! {
    #[test]
    fn every_row_once(
        truth in 0..400_u64, asks in 1..60_u64, cap in 1..60_u64, in_flight in 1..6_usize,
        before in prop::option::of((0..500_u64, 1..60_u64)), pick in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let shape = before.map(|(total, stride)| Shape { total, stride, ragged: false, first: stride });
        let (_, rows, _) = Server { truth, asks, cap }.read(shape, in_flight, &pick).unwrap();
        prop_assert_eq!(rows, (0..truth).collect::<Vec<_>>());
    }
}
