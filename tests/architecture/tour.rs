//! Rule: the code tour in `src/lib.rs` names existing files and every top-level module, and its diagram shows the ladder.

use std::collections::BTreeSet;

use super::files::{is_rust, read, relative, root, walk};
use super::{RUNGS, assert_no_violations};

#[test]
fn the_code_tour_is_true() {
    let files: Vec<String> = walk(&root().join("src"))
        .iter()
        .map(|path| relative(path))
        .collect();
    let other = ["devenv/src", "tests"]
        .into_iter()
        .flat_map(|f| walk(&root().join(f)));
    let other: Vec<String> = other.map(|path| relative(&path)).collect();
    assert_no_violations(&untrue(&read("src/lib.rs"), &[files, other].concat()));
}

/// Violations in the tour of `lib`, given all `files`.
fn untrue(lib: &str, files: &[String]) -> Vec<String> {
    let tour: String = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let quoted: Vec<&str> = tour.split('`').skip(1).step_by(2).collect();
    let there = |path: &str| {
        files
            .iter()
            .any(|f| f == path || f.strip_prefix("src/") == Some(path))
    };
    let gone = quoted.iter().filter(|q| is_rust(q) && !there(q));
    let gone = gone.map(|path| {
        format!("src/lib.rs: the code tour names `{path}`, which does not exist: correct the tour")
    });

    let told: BTreeSet<&str> = quoted
        .iter()
        .flat_map(|q| q.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let untold = modules(files).into_iter().filter(|module| !told.contains(module));
    let untold = untold
        .map(|module| format!("src/lib.rs: the code tour omits `{module}`: describe it there in one line"));
    gone.chain(untold).collect()
}

/// The top-level modules of `src`.
fn modules(files: &[String]) -> BTreeSet<&str> {
    let heads = files
        .iter()
        .filter_map(|f| f.strip_prefix("src/"))
        .map(|f| match f.split_once('/') {
            Some((folder, _)) => folder,
            None => f.trim_end_matches(".rs"),
        });
    heads.filter(|head| !["lib", "main"].contains(head)).collect()
}

#[test]
fn the_diagram_shows_the_ladder() {
    assert_eq!(diagram(&read("src/lib.rs")), RUNGS);
}

/// The words of each line of the first `text` block in the documentation of `lib`.
fn diagram(lib: &str) -> Vec<Vec<&str>> {
    let lines = lib.lines().map(|line| line.trim_start_matches("//!").trim());
    lines
        .skip_while(|line| *line != "```text")
        .skip(1)
        .take_while(|line| *line != "```")
        .map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .map(|words| words.filter(|word| !word.is_empty()).collect())
        .filter(|words: &Vec<&str>| !words.is_empty())
        .collect()
}

#[test]
fn violations_are_detected() {
    let lib = "//! ```text\n//! a · b\n//!  ↓\n//! c\n//! ```\n//! d";
    assert_eq!(diagram(lib), [vec!["a", "b"], vec!["c"]]);
    let files = [
        "src/lib.rs",
        "src/fault.rs",
        "src/sync/plan.rs",
        "tests/it/main.rs",
    ]
    .map(str::to_owned);
    assert_no_violations(&untrue(
        "//! `sync/plan.rs`, `src/fault.rs` and `tests/it/main.rs`.",
        &files,
    ));
    assert_no_violations(&untrue("//! [`sync`], [`fault`].", &files));
    assert!(untrue("//! `sync`.", &files)[0].contains("omits `fault`"));
    assert!(
        untrue("//! `fault`, `sync/plam.rs`.", &files)[0].contains("`sync/plam.rs`, which does not exist")
    );
    assert_eq!(untrue("// `fault` `sync`", &files).len(), 2);
}
