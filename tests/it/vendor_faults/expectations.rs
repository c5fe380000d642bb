//! Pure: the expected result of each vendor fault. `expected` and `record_result` match every fault, without a default.
//!
//! | fault | run |
//! |---|---|
//! | harmless: rows can be identified and counted | completes with exact data |
//! | detected: numbers are inconsistent, or a response is unreadable | fails, and the table is unchanged |
//! | of a record | completes; the row keeps its known values |
//! | undetectable: the vendor lists fewer devices with consistent numbers | completes; the delete guard withholds the deletes |

use devenv::simulator::{CutLength, Endpoint, ErrorShape, Fault, RecordDefect, Rule};

use super::case::{Case, Change, Expected};
use Expected::{Defective, Exact, Fails, Withheld};

/// What happens to a record with a defect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RecordResult {
    /// It is read correctly.
    Exact,
    /// These columns keep their values, the others are updated.
    Kept(&'static [&'static str]),
    /// It is skipped, and its station counts as present.
    Skipped,
    /// It is skipped, and its station is unknown: no row counts as stale.
    Unidentified,
}

pub fn record_result(defect: RecordDefect) -> RecordResult {
    match defect {
        RecordDefect::NullItem
        | RecordDefect::TextItem
        | RecordDefect::ListItem
        | RecordDefect::NumberSerial
        | RecordDefect::MissingSerial
        | RecordDefect::BlankSerial
        | RecordDefect::LongSerial
        | RecordDefect::NulInSerial => RecordResult::Unidentified,
        RecordDefect::UnknownType
        | RecordDefect::LoneSurrogate
        | RecordDefect::HugeExponent
        | RecordDefect::CoordinatesAsText
        | RecordDefect::CoordinatesOutOfRange
        | RecordDefect::ParamsAsList => RecordResult::Skipped,
        RecordDefect::CoordinatesZero => RecordResult::Kept(&["lat", "lng"]),
        RecordDefect::NulInName | RecordDefect::LongName => RecordResult::Kept(&["hostname"]),
        RecordDefect::IdOverInt4 | RecordDefect::FractionalId => RecordResult::Kept(&["site_id"]),
        RecordDefect::HugeAzimuth => RecordResult::Kept(&["azimuth_deg"]),
        RecordDefect::HugeHeight | RecordDefect::HeightAsText => RecordResult::Kept(&["height_m"]),
        RecordDefect::ConnectedAbsent | RecordDefect::ConnectedAsText => {
            RecordResult::Kept(&["device_status"])
        }
        RecordDefect::PaddedSerial
        | RecordDefect::IdAsText
        | RecordDefect::NegativeAzimuth
        | RecordDefect::DeepNesting => RecordResult::Exact,
    }
}

/// Every fault alone on every page of the run, then cases with several rules or with particular pages.
pub fn single_faults() -> Vec<Case> {
    let mut cases = Vec::new();
    for example in Fault::examples() {
        for (fault, expected) in expected(&example) {
            let (endpoint, expire) = match fault {
                Fault::Challenge { .. } => (Endpoint::Login, Some(true)),
                _ => (Endpoint::Search, None),
            };
            // Enough to receive 64 MiB.
            let timeout = if fault == Fault::EndlessBody { 20 } else { 1 };
            let guard = if matches!(expected, Withheld(_)) { 0 } else { 1000 };
            cases.push(Case {
                timeout,
                expire,
                guard,
                ..Case::of(format!("{fault:?}"), vec![Rule::on(endpoint, fault)], expected)
            });
        }
    }
    cases.extend(faults_on_pages());
    cases.extend(other_faults());
    cases
}

/// The expected result of a fault on every page of every region, for each relevant variant of the fault.
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
        | Fault::Gzip
        | Fault::ContentType { .. } => each(example, Exact),
        Fault::Latin1 => each(example, Defective),
        Fault::Record { .. } => records(),
        Fault::Hide { .. } => each(example, Withheld(1)),
        Fault::EmptyPage
        | Fault::RepeatRows { .. }
        | Fault::DropRows { .. }
        | Fault::OtherPage { .. }
        | Fault::OtherRegion { .. }
        | Fault::WrongOffset { .. }
        | Fault::WrongCount { .. } => each(example, Fails("FetchIncomplete")),
        Fault::WrongTotal { .. } => [
            (1, 0, "FetchIncomplete"),
            (-1, 0, "FetchIncomplete"),
            (0, 1, "FetchIncomplete"),
            (5_000_000, 0, "FetchIncomplete"),
            (-1000, 0, "ApiChanged"),
        ]
        .map(|(by, step, reason)| (Fault::WrongTotal { by, step }, Fails(reason)))
        .to_vec(),
        Fault::MissingItems | Fault::NoTotal | Fault::Html | Fault::Redirect { .. } => {
            each(example, Fails("ApiChanged"))
        }
        Fault::EndlessBody => each(example, Fails("ResponseTooLarge")),
        Fault::Status { .. }
        | Fault::Throttle { .. }
        | Fault::Overload { .. }
        | Fault::ErrorUnder200 { .. }
        | Fault::Reset { .. }
        | Fault::Hang { .. }
        | Fault::Cut { .. } => failing_responses(example),
        Fault::Expire => each(example, Fails("SessionRejected")),
        Fault::Challenge { .. } => each(example, Fails("AuthenticationChallenge")),
    }
}

/// The variants of failing responses.
fn failing_responses(example: &Fault) -> Vec<(Fault, Expected)> {
    let status = |status, reason| (Fault::Status { status, body: None }, Fails(reason));
    match example {
        Fault::Status { .. } => vec![
            status(400, "ApiRejected"),
            status(401, "SessionRejected"),
            status(403, "AccessDenied"),
            status(404, "ApiRejected"),
            status(500, "ApiUnavailable"),
            status(503, "ApiUnavailable"),
        ],
        // Longer than the client waits within an attempt.
        Fault::Throttle { .. } => [true, false]
            .map(|as_date| (Fault::Throttle { seconds: 6, as_date }, Fails("ApiThrottled")))
            .to_vec(),
        Fault::Overload { status, .. } => vec![(
            Fault::Overload {
                limit: 0,
                status: *status,
                retry_after: None,
            },
            Fails("ApiUnavailable"),
        )],
        Fault::ErrorUnder200 { .. } => [ErrorShape::Nqs, ErrorShape::Tmq, ErrorShape::Both]
            .map(|shape| (Fault::ErrorUnder200 { shape }, Fails("ApiUnavailable")))
            .to_vec(),
        Fault::Reset { .. } => [None, Some(100)]
            .map(|after_bytes| (Fault::Reset { after_bytes }, Fails("ApiUnreachable")))
            .to_vec(),
        Fault::Hang { .. } => [None, Some(100)]
            .map(|after_bytes| (Fault::Hang { after_bytes }, Fails("ApiUnreachable")))
            .to_vec(),
        Fault::Cut { bytes, .. } => [CutLength::Right, CutLength::Wrong, CutLength::Chunked]
            .map(|length| {
                (
                    Fault::Cut {
                        bytes: *bytes,
                        length,
                    },
                    Fails("ApiUnreachable"),
                )
            })
            .to_vec(),
        _ => unreachable!("{example:?} is handled in `expected`"),
    }
}

/// Each defect, in one record of each page.
fn records() -> Vec<(Fault, Expected)> {
    let record = |defect| Fault::Record {
        defect,
        at: 1,
        size: Some(5000),
    };
    RecordDefect::ALL
        .map(|defect| (record(defect), Defective))
        .to_vec()
}

/// Faults of particular pages.
fn faults_on_pages() -> Vec<Case> {
    let search = |fault| Rule::on(Endpoint::Search, fault);
    let other = |offset| Fault::OtherPage { offset };
    let swapped = vec![
        search(other(6)).region(1073).offset(0),
        search(other(0)).region(1073).offset(6),
    ];
    let incomplete = Fails("FetchIncomplete");
    vec![
        Case::of("two pages are swapped", swapped, Exact),
        Case::of(
            "a page is repeated and another is missing",
            vec![search(other(0)).region(1073).offset(6)],
            incomplete,
        ),
        Case::of(
            "an empty page in the middle",
            vec![search(Fault::EmptyPage).offset_from(1)],
            incomplete,
        ),
        Case::of(
            "pages shrink during the listing",
            vec![search(Fault::ShortPage { items: 2 }).offset_from(6)],
            Exact,
        ),
        Case::of(
            "pages grow during the listing",
            vec![search(Fault::LongPage { items: 9 }).offset_from(6)],
            Exact,
        ),
        Case::of(
            "a total that changes during the listing",
            vec![search(Fault::WrongTotal { by: 1, step: 0 }).offset_from(6)],
            incomplete,
        ),
        Case {
            warm: false,
            ..Case::of(
                "only the first page is from another region",
                vec![search(Fault::OtherRegion { region: 1073 }).offset(0)],
                incomplete,
            )
        },
    ]
}

/// Faults of one region, of login and regions, and transient faults.
fn other_faults() -> Vec<Case> {
    let search = |fault| Rule::on(Endpoint::Search, fault);
    let regions = |fault| Rule::on(Endpoint::Regions, fault);
    let refused = |status| Fault::Status { status, body: None };
    let one_region = |status, reason| {
        Case::of(
            format!("one region answers {status}"),
            vec![search(refused(status)).region(1074)],
            Fails(reason),
        )
    };
    vec![
        one_region(403, "AccessDenied"),
        one_region(404, "ApiRejected"),
        one_region(500, "ApiUnavailable"),
        Case::of(
            "a region is repeated",
            vec![regions(Fault::RepeatRows {
                rows: 1,
                different: false,
            })],
            // In pages of one row, nothing is repeated.
            Exact,
        ),
        Case::of(
            "the regions request returns a login page",
            vec![regions(Fault::Html)],
            Fails("ApiChanged"),
        ),
        Case {
            expire: Some(true),
            ..Case::of(
                "the login request returns a login page",
                vec![Rule::on(Endpoint::Login, Fault::Html)],
                Fails("ApiChanged"),
            )
        },
        Case {
            expire: Some(false),
            ..Case::of(
                "a token refresh is rejected",
                vec![Rule::on(Endpoint::Refresh, refused(500))],
                Exact,
            )
        },
        Case {
            before: Change::default(),
            ..Case::of("no changes and no faults", vec![], Exact)
        },
        Case::of(
            "two transient faults of a page",
            vec![search(Fault::Html).once(), search(Fault::EmptyPage).once()],
            Exact,
        ),
        Case::of("a transient fault", vec![search(refused(503)).once()], Exact),
    ]
}
