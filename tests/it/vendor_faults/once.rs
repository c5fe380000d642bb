//! Pure: each fault once, at each kind of request. All of these runs complete.

use devenv::simulator::{CutLength, Endpoint, ErrorShape, Fault, Rule};

use super::case::{Case, Change, Expected};

/// Statuses that a server or a proxy before it may answer once, although nothing is wrong.
const STATUSES: [u16; 12] = [400, 401, 403, 404, 409, 413, 418, 425, 500, 502, 503, 504];
/// A refused login is never repeated, whatever its status.
const LOGIN_STATUSES: [u16; 4] = [500, 502, 503, 504];

/// The requests of a fetch, with the listing that sends them.
const READS: [(Endpoint, &str); 6] = [
    (Endpoint::Regions, "RegionSearch"),
    (Endpoint::Search, "RegionSearch"),
    (Endpoint::OperatorDevices, "OperatorList"),
    (Endpoint::Radios, "RadioSearch"),
    (Endpoint::Hierarchy, "RadioSearch"),
    (Endpoint::Regions, "OperatorList"),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (endpoint, listing) in READS {
        let mut faults = of_any_answer();
        faults.extend(STATUSES.map(status));
        if endpoint != Endpoint::Hierarchy {
            faults.extend(of_a_list(endpoint));
        }
        cases.extend(faults.into_iter().map(|fault| Case {
            listing,
            ..once(endpoint, fault)
        }));
    }
    for (endpoint, refresh_too) in [(Endpoint::Login, true), (Endpoint::Refresh, false)] {
        let mut faults = of_any_answer();
        faults.retain(|fault| !matches!(fault, Fault::Expire));
        faults.extend(LOGIN_STATUSES.map(status));
        cases.extend(faults.into_iter().map(|fault| Case {
            expire: Some(refresh_too),
            ..once(endpoint, fault)
        }));
    }
    cases
}

fn once(endpoint: Endpoint, fault: Fault) -> Case {
    // Enough to receive 64 MiB.
    let timeout = if fault == Fault::EndlessBody { 20 } else { 1 };
    Case {
        timeout,
        // A listing without proof deletes nothing, and only RegionSearch has a proof for every fleet.
        delete_stale: false,
        before: Change {
            vanish: 0,
            ..Case::of("", vec![], Expected::Exact).before
        },
        ..Case::of(
            format!("{fault:?} once at {endpoint:?}"),
            vec![Rule::on(endpoint, fault).once()],
            Expected::Exact,
        )
    }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, body: None }
}

fn of_any_answer() -> Vec<Fault> {
    let cut = |length| Fault::Cut { bytes: 100, length };
    vec![
        Fault::Latency { ms: 50 },
        Fault::Throttle {
            seconds: 1,
            as_date: false,
        },
        Fault::Overload {
            limit: 0,
            status: 503,
            retry_after: None,
        },
        Fault::Reset { after_bytes: None },
        Fault::Reset {
            after_bytes: Some(50),
        },
        Fault::Hang { after_bytes: None },
        cut(CutLength::Right),
        cut(CutLength::Wrong),
        cut(CutLength::Chunked),
        Fault::ErrorUnder200 {
            shape: ErrorShape::Nqs,
        },
        Fault::Html,
        Fault::Redirect { to: None },
        Fault::Gzip,
        Fault::ByteOrderMark,
        Fault::Expire,
    ]
}

/// `RadioSearch` has no totals and no counts.
fn of_a_list(endpoint: Endpoint) -> Vec<Fault> {
    let mut faults = vec![Fault::EmptyPage, Fault::MissingItems];
    if endpoint == Endpoint::Radios {
        return faults;
    }
    faults.extend([
        Fault::NoTotal,
        Fault::WrongTotal { by: 1, step: 0 },
        Fault::WrongTotal { by: -1, step: 0 },
        Fault::WrongOffset { by: 1 },
        Fault::WrongCount { by: 1 },
        Fault::RepeatRows {
            rows: 1,
            different: false,
        },
        Fault::DropRows { rows: 1 },
    ]);
    if endpoint == Endpoint::Search {
        faults.extend([
            Fault::OtherRegion { region: 1073 },
            Fault::EndlessBody,
            Fault::ShortPage { items: 1 },
        ]);
    }
    faults
}
