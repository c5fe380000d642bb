//! Pure: derives a random case from a seed.

use devenv::simulator::{CutLength, Endpoint, ErrorShape, Fault, RecordDefect, Rule};

use super::case::{Case, Change, Expected};

/// A seeded random number generator (splitmix64).
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True with this probability.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn choose<T: Clone>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())].clone()
    }
}

/// The case of this seed: mostly two faults, on random endpoints and pages.
pub fn generate(seed: u64) -> Case {
    let mut generator = Generator(seed);
    let faults = generator.choose(&[1, 2, 2, 2, 2, 3]);
    let page_size = generator.choose(&[1, 3, 6, 6, 10, 1000]);
    let rules: Vec<Rule> = (0..faults).map(|_| rule(&mut generator, page_size)).collect();
    let during = generator.chance(20).then(|| {
        let page = generator.below(8);
        (u32::try_from(page).unwrap(), change(&mut generator))
    });
    Case {
        listing: "RegionSearch",
        name: format!("TARANA_SEED={seed}"),
        seed,
        base_nodes: generator.choose(&[12, 25, 40]),
        page_size,
        page_cap: generator.choose(&[5000, 5000, 4, 7]),
        in_flight: generator.choose(&[1, 2, 4]),
        timeout: 1,
        // Short, so that some runs exceed it.
        deadline: 9,
        warm: generator.chance(60),
        expire: generator.choose(&[None, None, Some(false), Some(true)]),
        delete_stale: generator.chance(70),
        guard: generator.choose(&[1000, 1000, 3]),
        before: change(&mut generator),
        during,
        rules,
        expected: Expected::Consistent,
    }
}

fn change(generator: &mut Generator) -> Change {
    Change {
        drift: generator.choose(&[0.0, 0.1, 0.3, 1.0]),
        vanish: generator.choose(&[0, 1, 3]),
        add: generator.choose(&[0, 1, 3]),
    }
}

fn rule(generator: &mut Generator, page_size: usize) -> Rule {
    let examples: Vec<Fault> = Fault::examples().into_iter().filter(detectable).collect();
    let example = generator.choose(&examples);
    let fault = vary(example, generator);
    let endpoint = match (&fault, generator.below(20)) {
        (Fault::Challenge { .. }, _) | (_, 0 | 1) => Endpoint::Login,
        (_, 2) => Endpoint::Refresh,
        (_, 3 | 4) => Endpoint::Regions,
        (_, 5) => Endpoint::Any,
        _ => Endpoint::Search,
    };
    let rule = Rule::on(endpoint, fault);
    let rule = match generator.below(6) {
        0 => rule.offset(0),
        1 => rule.offset_from(page_size),
        2 => rule.after(1 + u32::try_from(generator.below(6)).unwrap()),
        3 => rule.region(generator.choose(&[1073, 1074, 1075])),
        4 => rule.offset(page_size * generator.below(4)),
        _ => rule,
    };
    match generator.below(3) {
        0 => rule.once(),
        1 => rule.times(2),
        _ => rule,
    }
}

/// Excludes faults that no client can detect, and the one that costs 64 MiB.
fn detectable(fault: &Fault) -> bool {
    !matches!(fault, Fault::Hide { .. } | Fault::EndlessBody)
}

/// The same fault with random parameters. The `match` has no default, so that a new fault must be added.
fn vary(example: Fault, generator: &mut Generator) -> Fault {
    let few = 1 + generator.below(4);
    let off = generator.choose(&[-3, -1, 1, 2, 10]);
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
        | Fault::ContentType { .. } => vary_response(example, generator),
        Fault::ShortPage { .. } => Fault::ShortPage { items: few },
        Fault::WrongTotal { .. } => Fault::WrongTotal {
            by: off,
            step: generator.choose(&[0, 0, 1, -off]),
        },
        Fault::RepeatRows { .. } => Fault::RepeatRows {
            rows: few,
            different: generator.chance(50),
        },
        Fault::DropRows { .. } => Fault::DropRows { rows: few },
        Fault::OtherPage { .. } => Fault::OtherPage {
            offset: generator.below(25),
        },
        Fault::OtherRegion { .. } => Fault::OtherRegion {
            region: generator.choose(&[1073, 1074, 1075]),
        },
        Fault::LongPage { .. } => Fault::LongPage { items: 2 * few + 4 },
        Fault::WrongOffset { .. } => Fault::WrongOffset { by: off },
        Fault::WrongCount { .. } => Fault::WrongCount { by: off },
        Fault::Record { .. } => Fault::Record {
            defect: generator.choose(&RecordDefect::ALL),
            at: generator.below(6),
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

/// Faults of the response as a whole.
fn vary_response(example: Fault, generator: &mut Generator) -> Fault {
    let few = 1 + generator.below(4);
    let some = 1 + generator.below(400);
    match example {
        Fault::Latency { .. } => Fault::Latency { ms: some as u64 / 4 },
        Fault::Status { .. } => Fault::Status {
            status: generator.choose(&[204, 400, 401, 403, 404, 408, 418, 500, 502, 503, 504]),
            body: generator.choose(&[None, Some(String::new()), Some("RBAC: access denied".to_owned())]),
        },
        Fault::Throttle { .. } => Fault::Throttle {
            seconds: few as u64 / 2,
            as_date: generator.chance(50),
        },
        Fault::Overload { .. } => Fault::Overload {
            limit: few - 1,
            status: generator.choose(&[429, 503]),
            retry_after: generator.choose(&[None, Some(1)]),
        },
        Fault::Reset { .. } => Fault::Reset {
            after_bytes: generator.choose(&[None, Some(some)]),
        },
        Fault::SlowBody { .. } => Fault::SlowBody {
            chunk: some,
            every_ms: few as u64,
        },
        Fault::Hang { .. } => Fault::Hang {
            after_bytes: generator.choose(&[None, Some(some)]),
        },
        Fault::Cut { .. } => Fault::Cut {
            bytes: some * 4,
            length: generator.choose(&[CutLength::Right, CutLength::Wrong, CutLength::Chunked]),
        },
        Fault::ErrorUnder200 { .. } => Fault::ErrorUnder200 {
            shape: generator.choose(&[ErrorShape::Nqs, ErrorShape::Tmq, ErrorShape::Both]),
        },
        Fault::HugeBody { .. } => Fault::HugeBody { bytes: some * 1000 },
        Fault::ContentType { .. } => Fault::ContentType {
            name: generator
                .choose(&["text/html", "application/octet-stream", ""])
                .to_owned(),
        },
        other => other,
    }
}
