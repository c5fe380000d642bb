//! Rule: the fault table in `CONTRIBUTING.md` contains every reason that is a fault, with its class and existing tests.

use std::collections::BTreeSet;

use tarana_operator::fault::{Class, Fault, Reason};

use super::assert_no_violations;
use super::files::{read, rust_files};

/// Reasons that are not faults.
const NO_FAULTS: &[Reason] = &[
    Reason::Queued,
    Reason::ConcurrencyLimited,
    Reason::Started,
    Reason::Fetching,
    Reason::Applying,
    Reason::RetryScheduled,
    Reason::NothingWithheld,
    Reason::Completed,
    Reason::Failed,
    Reason::Cancelled,
    Reason::Verified,
    Reason::Verifying,
    Reason::Suspended,
    Reason::Recovered,
    Reason::Stalled,
    Reason::Scheduled,
    Reason::RunCreated,
    Reason::Triggered,
    Reason::RunActive,
    Reason::ScheduleChanged,
    Reason::NeverRun,
    Reason::SyncRequested,
    Reason::DeletesApproved,
    Reason::CancelRequested,
    Reason::RunRequested,
    Reason::SuspendRequested,
    Reason::ResumeRequested,
    Reason::ActionDenied,
    Reason::TestEventSent,
    Reason::NoEventYet,
    Reason::EventsDelivered,
    Reason::PlainText,
    Reason::RegionsOverlap,
];

#[test]
fn every_fault_has_its_line_and_its_test() {
    let sources = ["src", "tests", "devenv"].into_iter().flat_map(rust_files);
    let tests: BTreeSet<String> = sources.flat_map(|source| functions(&source.text)).collect();
    assert_no_violations(&violations(&read("CONTRIBUTING.md"), &tests));
}

#[test]
fn every_trial_has_its_test() {
    let sources = ["src", "tests", "devenv"].into_iter().flat_map(rust_files);
    let tests: BTreeSet<String> = sources.flat_map(|source| functions(&source.text)).collect();
    let text = read("tests/README.md");
    let trials = text.lines().skip_while(|line| !line.starts_with("| trial |"));
    let rows: Vec<&str> = trials.skip(2).collect();
    assert!(rows.len() > 30, "the table of trials is not found");
    let missing = rows.iter().flat_map(|row| {
        let (trial, cell) = row
            .trim_end_matches([' ', '|'])
            .rsplit_once('|')
            .unwrap_or_default();
        let named = quoted(cell);
        let none = named
            .is_empty()
            .then(|| format!("tests/README.md: {trial}: names no test"));
        let absent = named.into_iter().filter(|test| !tests.contains(*test));
        let absent = absent.map(|test| format!("tests/README.md: there is no test `{test}`"));
        absent.chain(none).collect::<Vec<_>>()
    });
    assert_no_violations(&missing.collect::<Vec<_>>());
}

#[test]
fn violations_are_detected() {
    let table = "| fault | class | reason | what a user sees | tests |\n|---|---|---|---|---|\n\
                 | 503 | permanent | `ApiUnavailable` | a retry | `there`, `gone` |\n\
                 | odd | transient | `NoSuchReason` | nothing | |\n";
    let violations = violations(table, &BTreeSet::from(["there".to_owned()])).join("\n");
    for expected in [
        "`ApiUnavailable` is transient",
        "no test `gone`",
        "no reason `NoSuchReason`",
        "names no test",
        "`FetchEmpty` has no row",
    ] {
        assert!(violations.contains(expected), "{expected}: {violations}");
    }
    assert!(!violations.contains("`there`"), "{violations}");
}

/// Names of all functions of a file.
fn functions(text: &str) -> Vec<String> {
    let names = text.split("fn ").skip(1);
    names
        .filter_map(|rest| rest.split(['(', '<']).next())
        .map(str::to_owned)
        .collect()
}

/// One row of the table.
struct Line<'a> {
    fault: &'a str,
    class: &'a str,
    reasons: Vec<&'a str>,
    tests: Vec<&'a str>,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| fault | class | reason |"));
    table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let &[fault, class, reasons, _, tests] = cells.as_slice() else {
                return None;
            };
            // A heading inside the table.
            if cells[1..].iter().all(|cell| cell.is_empty()) {
                return None;
            }
            Some(Line {
                fault,
                class,
                reasons: quoted(reasons),
                tests: quoted(tests),
            })
        })
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn violations(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut told = BTreeSet::new();
    for line in lines(text) {
        let fault = line.fault;
        if line.tests.is_empty() {
            violations.push(format!("CONTRIBUTING.md: {fault}: names no test"));
        }
        for test in line.tests.iter().filter(|test| !tests.contains(**test)) {
            violations.push(format!("CONTRIBUTING.md: {fault}: there is no test `{test}`"));
        }
        for word in line.reasons {
            let Some(reason) = Reason::parse(word) else {
                violations.push(format!("CONTRIBUTING.md: {fault}: there is no reason `{word}`"));
                continue;
            };
            told.insert(reason);
            let class = match Fault::new(reason, "").class() {
                Class::Transient => "transient",
                Class::Doubtful => "doubtful",
                Class::Permanent => "permanent",
            };
            if line.class != class && line.class != "–" {
                violations.push(format!("CONTRIBUTING.md: {fault}: `{word}` is {class}"));
            }
        }
    }
    let faults = Reason::ALL.iter().filter(|reason| !NO_FAULTS.contains(reason));
    violations.extend(
        faults
            .filter(|reason| !told.contains(*reason))
            .map(|reason| format!("CONTRIBUTING.md: `{reason}` has no row in the fault table")),
    );
    violations
}
