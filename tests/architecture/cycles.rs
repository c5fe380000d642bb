//! Rule: no two files of `src` import each other, directly or through others.

use std::collections::{BTreeSet, VecDeque};

use super::assert_no_violations;
use super::files::{Source, rust_files};
use super::imports::{Imports, imports};

#[test]
fn files_do_not_import_each_other() {
    let sources: Vec<Source> = rust_files("src")
        .into_iter()
        .filter(|source| source.path != "src/main.rs" && !is_test(&source.path))
        .collect();
    assert_no_violations(&cycles(&imports(&sources)));
}

/// Files that only tests contain; they may import the file that they test.
fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || ["/tests.rs", "/properties.rs"]
            .iter()
            .any(|end| path.ends_with(end))
}

/// A violation for each file on a cycle that no earlier violation covers.
fn cycles(imports: &Imports) -> Vec<String> {
    let mut covered = BTreeSet::new();
    let mut violations = Vec::new();
    for file in imports.keys() {
        if covered.contains(file) {
            continue;
        }
        if let Some(cycle) = shortest_cycle(imports, file) {
            violations.push(format!(
                "{}: these files import each other: move what both need into a file below them",
                cycle.join(" → ")
            ));
            covered.extend(cycle);
        }
    }
    violations
}

/// The shortest chain of imports from `start` back to itself.
fn shortest_cycle(imports: &Imports, start: &str) -> Option<Vec<String>> {
    let mut reached = BTreeSet::new();
    let mut queue = VecDeque::from([vec![start.to_owned()]]);
    while let Some(chain) = queue.pop_front() {
        for next in imports.get(chain.last()?).into_iter().flatten() {
            let longer = [chain.as_slice(), std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if reached.insert(next.clone()) {
                queue.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn violations_are_detected() {
    let violations = |files: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        cycles(&imports(&sources))
    };
    for (files, expected) in [
        // A facade that re-exports its children, which name each other through it.
        (
            vec![
                ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C as D;"),
                ("src/a/b.rs", "pub struct B;"),
                ("src/a/c.rs", "use super::B; mod tests { use super::super::D; }"),
            ],
            0,
        ),
        (
            vec![
                ("src/a.rs", "use crate::b::{self, X};"),
                ("src/b.rs", "#[cfg(test)] mod tests { use crate::a::Y; }"),
            ],
            0,
        ),
        (
            vec![
                ("src/a.rs", "use crate::b::X;"),
                ("src/b.rs", "fn f() { crate::a::g() }"),
            ],
            1,
        ),
        (
            vec![
                ("src/a/mod.rs", "mod b; use b::B; pub struct A;"),
                ("src/a/b.rs", "use super::A;"),
            ],
            1,
        ),
        (
            vec![
                ("src/a.rs", "use super::b::{x::{Y}, Z};"),
                ("src/b.rs", "use crate::c;"),
                ("src/c.rs", "pub use super::a::A;"),
            ],
            1,
        ),
    ] {
        let found = violations(&files);
        assert_eq!(found.len(), expected, "{files:?}: {found:?}");
    }
}
