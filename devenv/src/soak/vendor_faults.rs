//! Pure: draws random faults of the vendor from the simulator's examples.

use crate::simulator::rng::Rng;
use crate::simulator::{CutLength, Endpoint, ErrorShape, Fault, RecordDefect, Rule};

/// One or two rules with random faults, calls and times.
pub(super) fn rules(rng: &mut Rng, devices: usize) -> Vec<Rule> {
    (0..=rng.below(2)).map(|_| rule(rng, devices)).collect()
}

fn rule(rng: &mut Rng, devices: usize) -> Rule {
    // `Hide` is excluded: the page numbers agree, so no client can detect it.
    let examples: Vec<Fault> = Fault::examples()
        .into_iter()
        .filter(|fault| !matches!(fault, Fault::Hide { .. }))
        .collect();
    let fault = randomize(examples[rng.below(examples.len())].clone(), rng);
    let endpoint = match (&fault, rng.below(20)) {
        (Fault::EndlessBody, _) => Endpoint::Search,
        (Fault::Challenge { .. }, _) | (_, 0) => Endpoint::Login,
        (_, 1) => Endpoint::Refresh,
        (_, 2) => Endpoint::Regions,
        (_, 3) => Endpoint::Any,
        _ => Endpoint::Search,
    };
    let rule = Rule::on(endpoint, fault);
    let rule = match rng.below(6) {
        0 => rule.offset(0),
        1 => rule.offset_from(rng.below(devices)),
        2 | 3 => rule.after(u32::try_from(rng.below(devices.div_ceil(1000))).unwrap_or(0)),
        4 => rule.region([1073, 1074, 1075][rng.below(3)]),
        _ => rule,
    };
    match rng.below(4) {
        0 if !matches!(rule.fault, Fault::EndlessBody) => rule,
        1 => rule.times(3),
        2 => rule.times(2),
        _ => rule.once(),
    }
}

/// The name of the fault's kind, such as `throttle`.
pub(super) fn kind_name(fault: &Fault) -> String {
    let value = serde_json::to_value(fault).unwrap_or_default();
    value["kind"].as_str().unwrap_or("unknown").to_owned()
}

/// The same kind of fault with random parameters.
fn randomize(example: Fault, rng: &mut Rng) -> Fault {
    let few = 1 + rng.below(4);
    let some = 1 + rng.below(4000);
    let off = [-3, -1, 1, 2, 10][rng.below(5)];
    let coin = rng.below(2) == 0;
    match example {
        Fault::ShortPage { .. } => Fault::ShortPage { items: some },
        Fault::WrongTotal { .. } => Fault::WrongTotal {
            by: off,
            step: [0, 1, -off][rng.below(3)],
        },
        Fault::RepeatRows { .. } => Fault::RepeatRows {
            rows: few,
            different: coin,
        },
        Fault::DropRows { .. } => Fault::DropRows { rows: few },
        Fault::OtherPage { .. } => Fault::OtherPage { offset: some },
        Fault::OtherRegion { .. } => Fault::OtherRegion {
            region: [1073, 1074, 1075][rng.below(3)],
        },
        Fault::LongPage { .. } => Fault::LongPage { items: some },
        Fault::WrongOffset { .. } => Fault::WrongOffset { by: off },
        Fault::WrongCount { .. } => Fault::WrongCount { by: off },
        Fault::Record { .. } => Fault::Record {
            defect: RecordDefect::ALL[rng.below(RecordDefect::ALL.len())],
            at: rng.below(6),
            size: Some(5000),
        },
        other => randomize_response(other, rng, some, coin),
    }
}

/// The faults that do not concern listings.
fn randomize_response(example: Fault, rng: &mut Rng, some: usize, coin: bool) -> Fault {
    let few = 1 + rng.below(4);
    match example {
        Fault::Latency { .. } => Fault::Latency { ms: some as u64 / 10 },
        Fault::Status { .. } => Fault::Status {
            status: [400, 401, 403, 404, 408, 418, 500, 502, 503, 504][rng.below(10)],
            body: coin.then(|| "RBAC: access denied".to_owned()),
        },
        Fault::Throttle { .. } => Fault::Throttle {
            seconds: few as u64,
            as_date: coin,
        },
        Fault::Overload { .. } => Fault::Overload {
            limit: few,
            status: [429, 503][rng.below(2)],
            retry_after: coin.then_some(1),
        },
        Fault::Reset { .. } => Fault::Reset {
            after_bytes: coin.then_some(some),
        },
        Fault::SlowBody { .. } => Fault::SlowBody {
            chunk: 16 * some,
            every_ms: few as u64,
        },
        Fault::Hang { .. } => Fault::Hang {
            after_bytes: coin.then_some(some),
        },
        Fault::Cut { .. } => Fault::Cut {
            bytes: some,
            length: [CutLength::Right, CutLength::Wrong, CutLength::Chunked][rng.below(3)],
        },
        Fault::ErrorUnder200 { .. } => Fault::ErrorUnder200 {
            shape: [ErrorShape::Nqs, ErrorShape::Tmq, ErrorShape::Both][rng.below(3)],
        },
        Fault::HugeBody { .. } => Fault::HugeBody { bytes: 1000 * some },
        // The others have no parameters.
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_but_hide_is_drawn() {
        let mut rng = Rng::new(1, "test");
        let drawn: BTreeSet<String> = (0..2000).map(|_| kind_name(&rule(&mut rng, 500).fault)).collect();
        let known: BTreeSet<String> = Fault::examples().iter().map(kind_name).collect();
        let missing: Vec<&String> = known.difference(&drawn).collect();
        assert_eq!(missing, ["hide"]);
    }
}
