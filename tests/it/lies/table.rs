//! Pure: what each lie must come to. One table, which no fault can be left out of: `expected` and `fate` name them all.
//!
//! | a lie is | and so the run |
//! |---|---|
//! | harmless: the rows can still be told apart and counted | completes with the exact truth |
//! | seen: something does not add up, or cannot be read | fails, and the table is untouched |
//! | about a record | completes; the record keeps what was known of it |
//! | beyond any client: the vendor lists less and its numbers agree | completes; the delete guard is what stands between it and the rows |

use devenv::simulator::{Blemish, CutLength, Endpoint, ErrorShape, Fault, Rule};

use super::case::{Case, Change, Expected};
use Expected::{Blemished, Exact, Guarded, Refused};

/// What becomes of a record with a blemish.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It is read as if nothing were wrong.
    Exact,
    /// These columns keep what they had, the others are as the vendor says.
    Kept(&'static [&'static str]),
    /// It is skipped, its station known to be present.
    Skipped,
    /// It is skipped, and nobody can tell whose it was: nothing counts as absent.
    Unidentified,
}

pub fn fate(blemish: Blemish) -> Fate {
    match blemish {
        Blemish::NullItem
        | Blemish::TextItem
        | Blemish::ListItem
        | Blemish::NumberSerial
        | Blemish::MissingSerial
        | Blemish::BlankSerial
        | Blemish::LongSerial
        | Blemish::NulInSerial => Fate::Unidentified,
        Blemish::UnknownType
        | Blemish::LoneSurrogate
        | Blemish::HugeExponent
        | Blemish::CoordinatesAsText
        | Blemish::CoordinatesOutOfRange
        | Blemish::ParamsAsList => Fate::Skipped,
        Blemish::CoordinatesZero => Fate::Kept(&["lat", "lng"]),
        Blemish::NulInName | Blemish::LongName => Fate::Kept(&["hostname"]),
        Blemish::IdOverInt4 | Blemish::FractionalId => Fate::Kept(&["site_id"]),
        Blemish::HugeAzimuth => Fate::Kept(&["azimuth_deg"]),
        Blemish::HugeHeight | Blemish::HeightAsText => Fate::Kept(&["height_m"]),
        Blemish::ConnectedAbsent | Blemish::ConnectedAsText => Fate::Kept(&["device_status"]),
        Blemish::PaddedSerial | Blemish::IdAsText | Blemish::NegativeAzimuth | Blemish::DeepNesting => {
            Fate::Exact
        }
    }
}

/// Every fault alone, on every page for as long as the run lasts; then the cases that take more than one rule, or a place.
pub fn alone() -> Vec<Case> {
    let mut cases = Vec::new();
    for example in Fault::examples() {
        for (fault, expected) in expected(&example) {
            let (endpoint, expire) = match fault {
                Fault::Challenge { .. } => (Endpoint::Login, Some(true)),
                _ => (Endpoint::Search, None),
            };
            // 64 MiB take a moment.
            let timeout = if fault == Fault::EndlessBody { 6 } else { 1 };
            let guard = if matches!(expected, Guarded(_)) { 0 } else { 1000 };
            cases.push(Case {
                timeout,
                expire,
                guard,
                ..Case::of(format!("{fault:?}"), vec![Rule::on(endpoint, fault)], expected)
            });
        }
    }
    cases.extend(placed());
    cases.extend(elsewhere());
    cases
}

/// What each fault comes to on every page of every region. Several of one kind where their shape decides.
fn expected(example: &Fault) -> Vec<(Fault, Expected)> {
    let each = |fault: &Fault, expected| vec![(fault.clone(), expected)];
    match example {
        Fault::Latency { .. }
        | Fault::SlowBody { .. }
        | Fault::ShortPage { .. }
        | Fault::LongPage { .. }
        | Fault::AnyKind
        | Fault::NumbersAsText
        | Fault::HugeBody { .. }
        | Fault::ByteOrderMark
        | Fault::ContentType { .. } => each(example, Exact),
        Fault::Latin1 => each(example, Blemished),
        Fault::Record { .. } => records(),
        Fault::Hide { .. } => each(example, Guarded(1)),
        Fault::EmptyPage
        | Fault::RepeatRows { .. }
        | Fault::DropRows { .. }
        | Fault::OtherPage { .. }
        | Fault::OtherRegion { .. }
        | Fault::WrongOffset { .. }
        | Fault::WrongCount { .. } => each(example, Refused("FetchIncomplete")),
        Fault::WrongTotal { .. } => [
            (1, 0, "FetchIncomplete"),
            (-1, 0, "FetchIncomplete"),
            (0, 1, "FetchIncomplete"),
            (5_000_000, 0, "FetchIncomplete"),
            (-1000, 0, "ApiChanged"),
        ]
        .map(|(by, step, reason)| (Fault::WrongTotal { by, step }, Refused(reason)))
        .to_vec(),
        Fault::MissingItems | Fault::NoTotal | Fault::Html | Fault::Redirect { .. } | Fault::Gzip => {
            each(example, Refused("ApiChanged"))
        }
        Fault::EndlessBody => each(example, Refused("ResponseTooLarge")),
        Fault::Status { .. }
        | Fault::Throttle { .. }
        | Fault::Overload { .. }
        | Fault::ErrorUnder200 { .. }
        | Fault::Reset { .. }
        | Fault::Hang { .. }
        | Fault::Cut { .. } => refusals(example),
        Fault::Expire => each(example, Refused("AuthenticationFailed")),
        Fault::Challenge { .. } => each(example, Refused("AuthenticationChallenge")),
    }
}

/// Those that give no answer, or a refusal, in all their shapes.
fn refusals(example: &Fault) -> Vec<(Fault, Expected)> {
    let status = |status, reason| (Fault::Status { status, body: None }, Refused(reason));
    match example {
        Fault::Status { .. } => vec![
            status(400, "ApiRejected"),
            status(401, "AuthenticationFailed"),
            status(403, "AccessDenied"),
            status(404, "ApiRejected"),
            status(500, "ApiUnavailable"),
            status(503, "ApiUnavailable"),
        ],
        // Longer than is waited for within a reading.
        Fault::Throttle { .. } => [true, false]
            .map(|as_date| (Fault::Throttle { seconds: 6, as_date }, Refused("ApiThrottled")))
            .to_vec(),
        Fault::Overload { status, .. } => vec![(
            Fault::Overload {
                limit: 0,
                status: *status,
                retry_after: None,
            },
            Refused("ApiUnavailable"),
        )],
        Fault::ErrorUnder200 { .. } => [ErrorShape::Nqs, ErrorShape::Tmq, ErrorShape::Both]
            .map(|shape| (Fault::ErrorUnder200 { shape }, Refused("ApiUnavailable")))
            .to_vec(),
        Fault::Reset { .. } => [None, Some(100)]
            .map(|after_bytes| (Fault::Reset { after_bytes }, Refused("ApiUnreachable")))
            .to_vec(),
        Fault::Hang { .. } => [None, Some(100)]
            .map(|after_bytes| (Fault::Hang { after_bytes }, Refused("ApiUnreachable")))
            .to_vec(),
        Fault::Cut { bytes, .. } => [CutLength::Right, CutLength::Wrong, CutLength::Chunked]
            .map(|length| {
                (
                    Fault::Cut {
                        bytes: *bytes,
                        length,
                    },
                    Refused("ApiUnreachable"),
                )
            })
            .to_vec(),
        _ => unreachable!("{example:?} is told of in `expected`"),
    }
}

/// Each blemish, on one record of each page.
fn records() -> Vec<(Fault, Expected)> {
    let record = |blemish| Fault::Record {
        blemish,
        at: 1,
        size: Some(5000),
    };
    Blemish::ALL.map(|blemish| (record(blemish), Blemished)).to_vec()
}

/// Lies of certain pages.
fn placed() -> Vec<Case> {
    let search = |fault| Rule::on(Endpoint::Search, fault);
    let other = |offset| Fault::OtherPage { offset };
    let swapped = vec![
        search(other(6)).region(1073).offset(0),
        search(other(0)).region(1073).offset(6),
    ];
    let incomplete = Refused("FetchIncomplete");
    vec![
        Case::of("two pages are swapped", swapped, Exact),
        Case::of(
            "a page comes twice, another never",
            vec![search(other(0)).region(1073).offset(6).times(2)],
            incomplete,
        ),
        Case::of(
            "an empty page midway",
            vec![search(Fault::EmptyPage).offset_from(1)],
            incomplete,
        ),
        Case::of(
            "pages shrink half-way",
            vec![search(Fault::ShortPage { items: 2 }).offset_from(6)],
            Exact,
        ),
        Case::of(
            "pages grow half-way",
            vec![search(Fault::LongPage { items: 9 }).offset_from(6)],
            Exact,
        ),
        Case::of(
            "a total that drifts half-way",
            vec![search(Fault::WrongTotal { by: 1, step: 0 }).offset_from(6)],
            incomplete,
        ),
        Case {
            warm: false,
            ..Case::of(
                "the first page only is from another region",
                vec![search(Fault::OtherRegion { region: 1073 }).offset(0)],
                incomplete,
            )
        },
    ]
}

/// Lies of one region, of the way in, and those that pass.
fn elsewhere() -> Vec<Case> {
    let search = |fault| Rule::on(Endpoint::Search, fault);
    let regions = |fault| Rule::on(Endpoint::Regions, fault);
    let refused = |status| Fault::Status { status, body: None };
    let one_region = |status, reason| {
        Case::of(
            format!("one region answers {status}"),
            vec![search(refused(status)).region(1074)],
            Refused(reason),
        )
    };
    vec![
        one_region(403, "AccessDenied"),
        one_region(404, "ApiRejected"),
        one_region(500, "ApiUnavailable"),
        Case::of(
            "a region repeats",
            vec![regions(Fault::RepeatRows {
                rows: 1,
                different: false,
            })],
            Refused("FetchIncomplete"),
        ),
        Case::of(
            "the regions are a login page",
            vec![regions(Fault::Html)],
            Refused("ApiChanged"),
        ),
        Case {
            expire: Some(true),
            ..Case::of(
                "the login is a login page",
                vec![Rule::on(Endpoint::Login, Fault::Html)],
                Refused("ApiChanged"),
            )
        },
        Case {
            expire: Some(false),
            ..Case::of(
                "a refresh is refused",
                vec![Rule::on(Endpoint::Refresh, refused(500))],
                Exact,
            )
        },
        Case {
            before: Change::default(),
            ..Case::of("nothing changed and nothing lies", vec![], Exact)
        },
        Case::of(
            "it was only once",
            vec![search(Fault::Html).once(), search(Fault::EmptyPage).once()],
            Refused("ApiChanged"),
        ),
        Case::of("a fault that passes", vec![search(refused(503)).once()], Exact),
    ]
}
