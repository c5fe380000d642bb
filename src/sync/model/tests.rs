//! What is explored, and how far; and that a rule which is taken out is missed.

use std::fmt::Write as _;

use stateright::{Checker, HasDiscoveries, Model as _};

use super::world::Luck;
use super::*;

const NONE: Luck = Luck {
    crashes: 0,
    faults: 0,
    cancels: 0,
    deletes: 0,
    forwards: 0,
    backwards: 0,
};

/// The shortest way to every property that does not hold, with what the first run's object and row say on it.
fn failures(model: Model, only: Option<&'static str>) -> (Vec<&'static str>, String) {
    let depth = model.depth;
    let checker = model.checker().threads(2).target_max_depth(depth);
    let checker = match only {
        None => checker,
        Some(property) => checker.finish_when(HasDiscoveries::AnyOf([property].into())),
    };
    let checker = checker.spawn_bfs().join();
    let mut told = format!(
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
        let _ = writeln!(told, "\nnot so: {name}");
        for (world, event) in path.into_vec() {
            let event = event.map_or_else(|| "there".to_owned(), |e| format!("{e:?}"));
            let object = world.objects[0].map(|o| (o.version, o.phase(), o.status.step, o.status.attempt));
            let row = world.rows[0];
            let _ = writeln!(told, "  {event:60} {object:?} {:?} {}", row.state, row.fence);
        }
    }
    if only.is_none() && checker.discovery(COMPLETES).is_none() {
        found.push(COMPLETES);
    }
    (found, told)
}

/// Explores all of it.
fn holds(model: Model) {
    let (found, told) = failures(model, None);
    assert!(found.is_empty(), "{found:?}\n{told}");
    println!("{told}");
}

/// One run; the watch caches may be as late as they like.
fn late_news(luck: Luck) -> Model {
    Model::new(1, luck)
}

/// One run; the watch caches keep up, so that there is room for more bad luck.
fn fresh_news(luck: Luck) -> Model {
    Model {
        keeps_up: true,
        ..Model::new(1, luck)
    }
}

#[test]
fn two_operators_with_late_news() {
    holds(late_news(NONE));
}

#[test]
fn a_fault() {
    holds(late_news(Luck { faults: 1, ..NONE }));
}

#[test]
fn a_cancel() {
    holds(late_news(Luck { cancels: 1, ..NONE }));
}

#[test]
fn a_crash_and_a_fault() {
    holds(fresh_news(Luck {
        crashes: 1,
        faults: 1,
        ..NONE
    }));
}

#[test]
fn a_deletion_while_the_clock_jumps() {
    holds(fresh_news(Luck {
        deletes: 1,
        forwards: 1,
        backwards: 1,
        ..NONE
    }));
}

#[test]
fn a_rule_that_is_taken_out_is_missed() {
    let calm = late_news(NONE);
    let two = Model {
        keeps_up: true,
        ..Model::new(2, NONE)
    };
    for (rule, property, model) in [
        (Rule::Fence, FENCED_ROW, &calm),
        (Rule::OneRunning, ONE_RUNS, &two),
        (Rule::Versions, FENCED_STATUS, &calm),
        (Rule::ShownFence, FENCED_STATUS, &calm),
        (Rule::FreeResume, CHARGED, &calm),
    ] {
        let rules = Rules { without: Some(rule) };
        let model = Model {
            rules,
            calm: Arc::default(),
            ..model.clone()
        };
        let (found, told) = failures(model, Some(property));
        assert!(
            found.contains(&property),
            "{property}, without {rule:?} too: {told}"
        );
    }
}
