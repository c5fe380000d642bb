//! Wall: the code tour at the top of `src/lib.rs` tells of files that are there, and of every top-level module.

use std::collections::BTreeSet;

use super::assert_none;
use super::files::{is_rust, read, relative, root, walk};

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
    assert_none(&untrue(&read("src/lib.rs"), &[files, other].concat()));
}

/// Complaints about the tour in `lib` over a tree of `files`.
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
        format!("src/lib.rs: the code tour names `{path}`, which is not there: correct the tour")
    });

    let told: BTreeSet<&str> = quoted
        .iter()
        .flat_map(|q| q.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let untold = modules(files).into_iter().filter(|module| !told.contains(module));
    let untold = untold.map(|module| {
        format!("src/lib.rs: the code tour leaves out `{module}`: say there in one line what it is for")
    });
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
fn this_wall_can_fail() {
    let files = [
        "src/lib.rs",
        "src/fault.rs",
        "src/sync/plan.rs",
        "tests/it/main.rs",
    ]
    .map(str::to_owned);
    assert_none(&untrue(
        "//! `sync/plan.rs`, `src/fault.rs` and `tests/it/main.rs`.",
        &files,
    ));
    assert_none(&untrue("//! [`sync`], [`fault`].", &files));
    assert!(untrue("//! `sync`.", &files)[0].contains("leaves out `fault`"));
    assert!(untrue("//! `fault`, `sync/plam.rs`.", &files)[0].contains("`sync/plam.rs`, which is not there"));
    assert_eq!(untrue("// `fault` `sync`", &files).len(), 2);
}
