//! Pure: a run at random, of its seed alone.

use devenv::simulator::{Blemish, CutLength, Endpoint, ErrorShape, Fault, Rule};

use super::case::{Case, Change, Expected};

/// A seeded stream of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True so many times of a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Clone>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())].clone()
    }
}

/// The run of this seed: mostly two lies, on random calls at random times.
pub fn case(seed: u64) -> Case {
    let mut dice = Dice(seed);
    let lies = dice.of(&[1, 2, 2, 2, 2, 3]);
    let page_size = dice.of(&[1, 3, 6, 6, 10, 1000]);
    let rules: Vec<Rule> = (0..lies).map(|_| rule(&mut dice, page_size)).collect();
    let midway = dice.chance(20).then(|| {
        let page = dice.below(8);
        (u32::try_from(page).unwrap(), change(&mut dice))
    });
    Case {
        name: format!("TARANA_SEED={seed}"),
        seed,
        base_nodes: dice.of(&[12, 25, 40]),
        page_size,
        page_cap: dice.of(&[5000, 5000, 4, 7]),
        in_flight: dice.of(&[1, 2, 4]),
        timeout: 1,
        // Little, so that it is met.
        deadline: 9,
        warm: dice.chance(60),
        expire: dice.of(&[None, None, Some(false), Some(true)]),
        delete_stale: dice.chance(70),
        guard: dice.of(&[1000, 1000, 3]),
        before: change(&mut dice),
        midway,
        rules,
        expected: Expected::Sound,
    }
}

fn change(dice: &mut Dice) -> Change {
    Change {
        drift: dice.of(&[0.0, 0.1, 0.3, 1.0]),
        vanish: dice.of(&[0, 1, 3]),
        add: dice.of(&[0, 1, 3]),
    }
}

fn rule(dice: &mut Dice, page_size: usize) -> Rule {
    let examples: Vec<Fault> = Fault::examples().into_iter().filter(detectable).collect();
    let example = dice.of(&examples);
    let fault = vary(example, dice);
    let endpoint = match (&fault, dice.below(20)) {
        (Fault::Challenge { .. }, _) | (_, 0 | 1) => Endpoint::Login,
        (_, 2) => Endpoint::Refresh,
        (_, 3 | 4) => Endpoint::Regions,
        (_, 5) => Endpoint::Any,
        _ => Endpoint::Search,
    };
    let rule = Rule::on(endpoint, fault);
    let rule = match dice.below(6) {
        0 => rule.offset(0),
        1 => rule.offset_from(page_size),
        2 => rule.after(1 + u32::try_from(dice.below(6)).unwrap()),
        3 => rule.region(dice.of(&[1073, 1074, 1075])),
        4 => rule.offset(page_size * dice.below(4)),
        _ => rule,
    };
    match dice.below(3) {
        0 => rule.once(),
        1 => rule.times(2),
        _ => rule,
    }
}

/// Left out: what no client can see, and what takes 64 MiB to see.
fn detectable(fault: &Fault) -> bool {
    !matches!(fault, Fault::Hide { .. } | Fault::EndlessBody)
}

/// The same kind of fault, of another size. Nothing here has a default: a new fault wants a thought.
fn vary(example: Fault, dice: &mut Dice) -> Fault {
    let few = 1 + dice.below(4);
    let off = dice.of(&[-3, -1, 1, 2, 10]);
    match example {
        Fault::Latency { .. }
        | Fault::Status { .. }
        | Fault::Throttle { .. }
        | Fault::Overload { .. }
        | Fault::Reset { .. }
        | Fault::SlowBody { .. }
        | Fault::Hang { .. }
        | Fault::Cut { .. }
        | Fault::ErrorUnder200 { .. }
        | Fault::HugeBody { .. }
        | Fault::ContentType { .. } => vary_answer(example, dice),
        Fault::ShortPage { .. } => Fault::ShortPage { items: few },
        Fault::WrongTotal { .. } => Fault::WrongTotal {
            by: off,
            step: dice.of(&[0, 0, 1, -off]),
        },
        Fault::RepeatRows { .. } => Fault::RepeatRows {
            rows: few,
            different: dice.chance(50),
        },
        Fault::DropRows { .. } => Fault::DropRows { rows: few },
        Fault::OtherPage { .. } => Fault::OtherPage {
            offset: dice.below(25),
        },
        Fault::OtherRegion { .. } => Fault::OtherRegion {
            region: dice.of(&[1073, 1074, 1075]),
        },
        Fault::LongPage { .. } => Fault::LongPage { items: 2 * few + 4 },
        Fault::WrongOffset { .. } => Fault::WrongOffset { by: off },
        Fault::WrongCount { .. } => Fault::WrongCount { by: off },
        Fault::Record { .. } => Fault::Record {
            blemish: dice.of(&Blemish::ALL),
            at: dice.below(6),
            size: Some(5000),
        },
        other @ (Fault::EmptyPage
        | Fault::MissingItems
        | Fault::NoTotal
        | Fault::AnyKind
        | Fault::Hide { .. }
        | Fault::NumbersAsText
        | Fault::Html
        | Fault::Redirect { .. }
        | Fault::Expire
        | Fault::Challenge { .. }
        | Fault::EndlessBody
        | Fault::Gzip
        | Fault::ByteOrderMark
        | Fault::Latin1) => other,
    }
}

/// Those that are not about a list.
fn vary_answer(example: Fault, dice: &mut Dice) -> Fault {
    let few = 1 + dice.below(4);
    let some = 1 + dice.below(400);
    match example {
        Fault::Latency { .. } => Fault::Latency { ms: some as u64 / 4 },
        Fault::Status { .. } => Fault::Status {
            status: dice.of(&[204, 400, 401, 403, 404, 408, 418, 500, 502, 503, 504]),
            body: dice.of(&[None, Some(String::new()), Some("RBAC: access denied".to_owned())]),
        },
        Fault::Throttle { .. } => Fault::Throttle {
            seconds: few as u64 / 2,
            as_date: dice.chance(50),
        },
        Fault::Overload { .. } => Fault::Overload {
            limit: few - 1,
            status: dice.of(&[429, 503]),
            retry_after: dice.of(&[None, Some(1)]),
        },
        Fault::Reset { .. } => Fault::Reset {
            after_bytes: dice.of(&[None, Some(some)]),
        },
        Fault::SlowBody { .. } => Fault::SlowBody {
            chunk: some,
            every_ms: few as u64,
        },
        Fault::Hang { .. } => Fault::Hang {
            after_bytes: dice.of(&[None, Some(some)]),
        },
        Fault::Cut { .. } => Fault::Cut {
            bytes: some * 4,
            length: dice.of(&[CutLength::Right, CutLength::Wrong, CutLength::Chunked]),
        },
        Fault::ErrorUnder200 { .. } => Fault::ErrorUnder200 {
            shape: dice.of(&[ErrorShape::Nqs, ErrorShape::Tmq, ErrorShape::Both]),
        },
        Fault::HugeBody { .. } => Fault::HugeBody { bytes: some * 1000 },
        Fault::ContentType { .. } => Fault::ContentType {
            name: dice.of(&["text/html", "application/octet-stream", ""]).to_owned(),
        },
        other => other,
    }
}
