use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::{InFlight, PROBE_AFTER, START, Ticket};

const USUAL: Duration = Duration::from_millis(50);

/// A server that takes so many at once, and that answers in the order in which it was asked.
struct Server {
    takes: u32,
    /// Refuses who comes on top; else lets them wait.
    refuses: bool,
    taken: u32,
    under_way: VecDeque<(Ticket, bool, u32)>,
    /// What is sent together arrives the other way round.
    overtakes: bool,
    refusals: u32,
    served: u32,
    most: u32,
}

impl Server {
    fn new(takes: u32, refuses: bool) -> Self {
        Self {
            takes,
            refuses,
            taken: 0,
            under_way: VecDeque::new(),
            overtakes: false,
            refusals: 0,
            served: 0,
            most: 0,
        }
    }

    /// Sends whatever the limit lets out, of `left` requests.
    fn fill(&mut self, to: &mut InFlight, left: &mut u32) {
        let mut sent = Vec::new();
        while *left > 0 && u32::try_from(self.under_way.len() + sent.len()).unwrap() < to.limit() {
            sent.push(to.begin());
            *left -= 1;
        }
        if self.overtakes {
            sent.reverse();
        }
        for ticket in sent {
            let taken = !self.refuses || self.taken < self.takes;
            self.taken += u32::from(taken);
            self.most = self.most.max(self.taken);
            self.under_way.push_back((ticket, taken, self.taken));
        }
    }

    /// Answers the one that is at `n`, in the order of arrival, or a refused one before it, if nothing overtakes.
    fn answer(&mut self, to: &mut InFlight, left: &mut u32, n: usize) {
        let refused = self.under_way.iter().position(|(_, taken, _)| !taken);
        let n = refused
            .filter(|_| !self.overtakes)
            .unwrap_or(n % self.under_way.len());
        let Some((ticket, taken, behind)) = self.under_way.remove(n) else {
            return;
        };
        if taken {
            self.taken -= 1;
            self.served += 1;
            // Whoever stands behind waits until a place is free.
            let took = USUAL * behind.div_ceil(self.takes);
            to.served(ticket, "search", took);
        } else {
            self.refusals += 1;
            assert!(to.refused(ticket), "there were others");
            *left += 1;
        }
    }

    fn run(&mut self, to: &mut InFlight, requests: u32, pick: &mut dyn FnMut() -> usize) {
        let mut left = requests;
        self.fill(to, &mut left);
        while !self.under_way.is_empty() {
            self.answer(to, &mut left, pick());
            self.fill(to, &mut left);
        }
    }
}

fn in_order() -> impl FnMut() -> usize {
    || 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_server_that_refuses_is_used_in_full_for_few_refusals(
        takes in 1..64_u32, ceiling in 1..=64_u32, order in any::<u64>(), overtakes in any::<bool>()
    ) {
        let mut learnt = InFlight::new(ceiling);
        let mut server = Server { overtakes, ..Server::new(takes, true) };
        let mut seed = order;
        let mut pick = move || {
            // Any order will do: answers overtake each other.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 60).unwrap()
        };
        server.run(&mut learnt, 10_000, &mut pick);
        prop_assert!(server.refusals <= 5, "{} refusals", server.refusals);
        prop_assert_eq!(learnt.limit(), takes.min(ceiling));
        prop_assert_eq!(server.served, 10_000);
        // What was learnt stays learnt.
        let mut again = Server::new(takes, true);
        again.run(&mut learnt, 1_000, &mut pick);
        prop_assert!(again.refusals <= 1, "{} refusals later", again.refusals);
        prop_assert_eq!(again.most, takes.min(ceiling));
    }

    #[test]
    fn the_limit_keeps_its_bounds_whatever_happens(
        ceiling in 0..100_u32, events in proptest::collection::vec((0..4_u8, any::<u16>()), 0..400)
    ) {
        let mut learnt = InFlight::new(ceiling);
        let mut tickets: Vec<Ticket> = Vec::new();
        for (event, n) in events {
            match event {
                0 => tickets.push(learnt.begin()),
                _ if tickets.is_empty() => {}
                other => {
                    let ticket = tickets.swap_remove(usize::from(n) % tickets.len());
                    match other {
                        1 => learnt.served(ticket, "search", Duration::from_millis(n.into())),
                        2 => { learnt.refused(ticket); }
                        _ => learnt.ended(ticket),
                    }
                }
            }
            prop_assert!((1..=ceiling.max(1)).contains(&learnt.limit()), "{learnt:?}");
        }
        prop_assert_eq!(learnt.under_way.len(), tickets.len());
    }

    #[test]
    fn a_queue_on_the_other_side_is_kept_short(takes in 4..32_u32) {
        let mut learnt = InFlight::new(64);
        let mut server = Server::new(takes, false);
        server.run(&mut learnt, 5_000, &mut in_order());
        prop_assert!(learnt.limit() >= takes, "{} of {takes}", learnt.limit());
        prop_assert!(learnt.limit() <= takes * 2 + 8, "{} of {takes}", learnt.limit());
    }

    #[test]
    fn a_change_is_followed(before in 1..64_u32, after in 1..64_u32) {
        let mut learnt = InFlight::new(64);
        Server::new(before, true).run(&mut learnt, 1_000, &mut in_order());
        let mut server = Server::new(after, true);
        server.run(&mut learnt, 20_000, &mut in_order());
        // The end may find it trying the wall.
        prop_assert!((after..=after + 1).contains(&learnt.limit()), "{} of {after}", learnt.limit());
        // What is sent before the first refusal comes back cannot be helped.
        let sent = before.saturating_sub(after);
        prop_assert!(server.refusals <= sent + 24, "{} refusals from {before} to {after}", server.refusals);
    }
}

#[test]
fn a_small_ceiling_is_used_from_the_first_request() {
    for ceiling in 1..=START {
        assert_eq!(InFlight::new(ceiling).limit(), ceiling);
    }
    assert_eq!(InFlight::new(64).limit(), START);
}

#[test]
fn one_alone_is_not_refused_for_the_others() {
    let mut learnt = InFlight::new(64);
    let ticket = learnt.begin();
    assert!(!learnt.refused(ticket));
    assert_eq!(learnt.limit(), START);
}

#[test]
fn an_outage_is_no_lesson() {
    let mut learnt = InFlight::new(64);
    Server::new(8, true).run(&mut learnt, 500, &mut in_order());
    let tickets: Vec<Ticket> = (0..8).map(|_| learnt.begin()).collect();
    for ticket in tickets {
        learnt.refused(ticket);
    }
    assert_eq!(learnt.limit(), 1, "one goes on to try");
    let alone = learnt.begin();
    assert!(!learnt.refused(alone));
    let mut server = Server::new(8, true);
    server.run(&mut learnt, 60, &mut in_order());
    assert_eq!(learnt.limit(), 8);
    assert!(server.refusals <= 5);
}

#[test]
fn a_wall_is_tried_more_rarely_each_time() {
    let mut learnt = InFlight::new(64);
    Server::new(8, true).run(&mut learnt, 1_000, &mut in_order());
    let mut server = Server::new(8, true);
    server.run(&mut learnt, PROBE_AFTER * 20, &mut in_order());
    assert!((1..=3).contains(&server.refusals), "{} refusals", server.refusals);
}
