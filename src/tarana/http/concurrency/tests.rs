use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::{ConcurrencyLimit, PROBE_AFTER, START, Ticket};

const BASELINE: Duration = Duration::from_millis(50);

/// A server that accepts `capacity` requests at once and answers in the order of arrival.
struct Server {
    capacity: u32,
    /// Rejects requests above its capacity; otherwise queues them.
    rejects: bool,
    accepted: u32,
    in_flight: VecDeque<(Ticket, bool, u32)>,
    /// Requests that are sent together arrive in reverse order.
    reorders: bool,
    rejections: u32,
    successes: u32,
    max_accepted: u32,
}

impl Server {
    fn new(capacity: u32, rejects: bool) -> Self {
        Self {
            capacity,
            rejects,
            accepted: 0,
            in_flight: VecDeque::new(),
            reorders: false,
            rejections: 0,
            successes: 0,
            max_accepted: 0,
        }
    }

    /// Sends as many of the `left` requests as the limit allows.
    fn send(&mut self, limit: &mut ConcurrencyLimit, left: &mut u32) {
        let mut sent = Vec::new();
        while *left > 0 && u32::try_from(self.in_flight.len() + sent.len()).unwrap() < limit.current() {
            sent.push(limit.start());
            *left -= 1;
        }
        if self.reorders {
            sent.reverse();
        }
        for ticket in sent {
            let accepted = !self.rejects || self.accepted < self.capacity;
            self.accepted += u32::from(accepted);
            self.max_accepted = self.max_accepted.max(self.accepted);
            self.in_flight.push_back((ticket, accepted, self.accepted));
        }
    }

    /// Answers request `n` in the order of arrival. Without reordering, rejected requests are answered first.
    fn answer(&mut self, limit: &mut ConcurrencyLimit, left: &mut u32, n: usize) {
        let rejected = self.in_flight.iter().position(|(_, accepted, _)| !accepted);
        let n = rejected
            .filter(|_| !self.reorders)
            .unwrap_or(n % self.in_flight.len());
        let Some((ticket, accepted, position)) = self.in_flight.remove(n) else {
            return;
        };
        if accepted {
            self.accepted -= 1;
            self.successes += 1;
            // A request above the capacity waits until an earlier one has ended.
            let took = BASELINE * position.div_ceil(self.capacity);
            limit.record_success(ticket, "search", took);
        } else {
            self.rejections += 1;
            assert!(limit.record_rejection(ticket), "other requests are in flight");
            *left += 1;
        }
    }

    fn run(&mut self, limit: &mut ConcurrencyLimit, requests: u32, pick: &mut dyn FnMut() -> usize) {
        let mut left = requests;
        self.send(limit, &mut left);
        while !self.in_flight.is_empty() {
            self.answer(limit, &mut left, pick());
            self.send(limit, &mut left);
        }
    }
}

fn in_order() -> impl FnMut() -> usize {
    || 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_rejecting_server_is_used_in_full_after_few_rejections(
        capacity in 1..64_u32, ceiling in 1..=64_u32, order in any::<u64>(), reorders in any::<bool>()
    ) {
        let mut limit = ConcurrencyLimit::new(ceiling);
        let mut server = Server { reorders, ..Server::new(capacity, true) };
        let mut seed = order;
        let mut pick = move || {
            // A random order: answers overtake each other.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 60).unwrap()
        };
        server.run(&mut limit, 10_000, &mut pick);
        prop_assert!(server.rejections <= 5, "{} rejections", server.rejections);
        prop_assert_eq!(limit.current(), capacity.min(ceiling));
        prop_assert_eq!(server.successes, 10_000);
        // The limit keeps what it learned.
        let mut second = Server::new(capacity, true);
        second.run(&mut limit, 1_000, &mut pick);
        prop_assert!(second.rejections <= 1, "{} rejections later", second.rejections);
        prop_assert_eq!(second.max_accepted, capacity.min(ceiling));
    }

    #[test]
    fn the_limit_keeps_its_bounds_whatever_happens(
        ceiling in 0..100_u32, events in proptest::collection::vec((0..4_u8, any::<u16>()), 0..400)
    ) {
        let mut limit = ConcurrencyLimit::new(ceiling);
        let mut tickets: Vec<Ticket> = Vec::new();
        for (event, n) in events {
            match event {
                0 => tickets.push(limit.start()),
                _ if tickets.is_empty() => {}
                other => {
                    let ticket = tickets.swap_remove(usize::from(n) % tickets.len());
                    match other {
                        1 => limit.record_success(ticket, "search", Duration::from_millis(n.into())),
                        2 => { limit.record_rejection(ticket); }
                        _ => limit.record_abandoned(ticket),
                    }
                }
            }
            prop_assert!((1..=ceiling.max(1)).contains(&limit.current()), "{limit:?}");
        }
        prop_assert_eq!(limit.in_flight.len(), tickets.len());
    }

    #[test]
    fn the_queue_on_the_server_is_kept_short(capacity in 4..32_u32) {
        let mut limit = ConcurrencyLimit::new(64);
        let mut server = Server::new(capacity, false);
        server.run(&mut limit, 5_000, &mut in_order());
        prop_assert!(limit.current() >= capacity, "{} of {capacity}", limit.current());
        prop_assert!(limit.current() <= capacity * 2 + 8, "{} of {capacity}", limit.current());
    }

    #[test]
    fn the_limit_follows_a_change_of_capacity(before in 1..64_u32, after in 1..64_u32) {
        let mut limit = ConcurrencyLimit::new(64);
        Server::new(before, true).run(&mut limit, 1_000, &mut in_order());
        let mut server = Server::new(after, true);
        server.run(&mut limit, 20_000, &mut in_order());
        // The last requests may be probing the rejected level.
        prop_assert!((after..=after + 1).contains(&limit.current()), "{} of {after}", limit.current());
        // Requests that are in flight when the first rejection arrives may all be rejected.
        let sent = before.saturating_sub(after);
        prop_assert!(server.rejections <= sent + 24, "{} rejections from {before} to {after}", server.rejections);
    }
}

#[test]
fn a_small_ceiling_is_used_from_the_first_request() {
    for ceiling in 1..=START {
        assert_eq!(ConcurrencyLimit::new(ceiling).current(), ceiling);
    }
    assert_eq!(ConcurrencyLimit::new(64).current(), START);
}

#[test]
fn a_lone_rejection_is_not_about_concurrency() {
    let mut limit = ConcurrencyLimit::new(64);
    let ticket = limit.start();
    assert!(!limit.record_rejection(ticket));
    assert_eq!(limit.current(), START);
}

#[test]
fn an_outage_does_not_lower_the_limit_for_long() {
    let mut limit = ConcurrencyLimit::new(64);
    Server::new(8, true).run(&mut limit, 500, &mut in_order());
    let tickets: Vec<Ticket> = (0..8).map(|_| limit.start()).collect();
    for ticket in tickets {
        limit.record_rejection(ticket);
    }
    assert_eq!(limit.current(), 1, "one request at a time continues");
    let alone = limit.start();
    assert!(!limit.record_rejection(alone));
    let mut server = Server::new(8, true);
    server.run(&mut limit, 60, &mut in_order());
    assert_eq!(limit.current(), 8);
    assert!(server.rejections <= 5);
}

#[test]
fn a_rejected_level_is_probed_more_rarely_each_time() {
    let mut limit = ConcurrencyLimit::new(64);
    Server::new(8, true).run(&mut limit, 1_000, &mut in_order());
    let mut server = Server::new(8, true);
    server.run(&mut limit, PROBE_AFTER * 20, &mut in_order());
    assert!(
        (1..=3).contains(&server.rejections),
        "{} rejections",
        server.rejections
    );
}
