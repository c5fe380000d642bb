//! The explored models, and checks that a disabled rule is detected.

use std::fmt::Write as _;
use std::sync::Arc;

use stateright::{Checker, HasDiscoveries, Model as _};

use super::checks::{CHARGED, COMPLETES, FENCED_ROW, FENCED_STATUS, ONE_RUNNING};
use super::definition::{Model, Rule, Rules};
use super::world::Budget;

const NONE: Budget = Budget {
    crashes: 0,
    faults: 0,
    cancels: 0,
    deletes: 0,
    forwards: 0,
    backwards: 0,
};

/// The shortest path to every violated property, with the object and row of the first run at each step.
fn failures(model: Model, only: Option<&'static str>) -> (Vec<&'static str>, String) {
    let depth = model.max_depth;
    let checker = model.checker().threads(2).target_max_depth(depth);
    let checker = match only {
        None => checker,
        Some(property) => checker.finish_when(HasDiscoveries::AnyOf([property].into())),
    };
    let checker = checker.spawn_bfs().join();
    let mut report = format!(
        "{} worlds, {} of them different, {} events deep",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    let mut found = Vec::new();
    for (name, path) in checker.discoveries() {
        if name == COMPLETES {
            continue;
        }
        found.push(name);
        let _ = writeln!(report, "\nviolated: {name}");
        for (world, event) in path.into_vec() {
            let event = event.map_or_else(|| "there".to_owned(), |e| format!("{e:?}"));
            let object = world.objects[0].map(|o| (o.version, o.phase(), o.status.step, o.status.attempt));
            let row = world.rows[0];
            let _ = writeln!(report, "  {event:60} {object:?} {:?} {}", row.state, row.fence);
        }
    }
    if only.is_none() && checker.discovery(COMPLETES).is_none() {
        found.push(COMPLETES);
    }
    (found, report)
}

/// Explores the whole model.
fn assert_holds(model: Model) {
    let (found, report) = failures(model, None);
    assert!(found.is_empty(), "{found:?}\n{report}");
    println!("{report}");
}

/// One run; the watch caches may lag without limit.
fn lagging_caches(budget: Budget) -> Model {
    Model::new(1, budget)
}

/// One run; the watch caches are current, which leaves room for more faults.
fn current_caches(budget: Budget) -> Model {
    Model {
        caches_current: true,
        ..Model::new(1, budget)
    }
}

#[test]
fn two_operators_with_lagging_caches() {
    assert_holds(lagging_caches(NONE));
}

#[test]
fn a_fault() {
    assert_holds(lagging_caches(Budget { faults: 1, ..NONE }));
}

#[test]
fn a_cancel() {
    assert_holds(lagging_caches(Budget { cancels: 1, ..NONE }));
}

#[test]
fn a_crash_and_a_fault() {
    assert_holds(current_caches(Budget {
        crashes: 1,
        faults: 1,
        ..NONE
    }));
}

#[test]
fn a_deletion_while_the_clock_jumps() {
    assert_holds(current_caches(Budget {
        deletes: 1,
        forwards: 1,
        backwards: 1,
        ..NONE
    }));
}

#[test]
fn a_disabled_rule_is_detected() {
    let lagging = lagging_caches(NONE);
    let two = Model {
        caches_current: true,
        ..Model::new(2, NONE)
    };
    for (rule, property, model) in [
        (Rule::Fence, FENCED_ROW, &lagging),
        (Rule::OneRunning, ONE_RUNNING, &two),
        (Rule::Versions, FENCED_STATUS, &lagging),
        (Rule::ShownFence, FENCED_STATUS, &lagging),
        (Rule::FreeResume, CHARGED, &lagging),
    ] {
        let rules = Rules { disabled: Some(rule) };
        let model = Model {
            rules,
            known_to_end: Arc::default(),
            ..model.clone()
        };
        let (found, report) = failures(model, Some(property));
        assert!(
            found.contains(&property),
            "{property}, without {rule:?} too: {report}"
        );
    }
}
