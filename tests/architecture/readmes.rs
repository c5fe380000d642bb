//! Wall: each folder documents itself in a README.

use std::collections::BTreeMap;

use super::assert_none;
use super::files::{is_rust, relative, root, walk};

/// Folders that have a README whatever they hold. `src` itself is told by the code tour of `lib.rs`.
const ALWAYS: &[&str] = &["crds", "migrations", "devenv", "charts", "tests"];
/// A folder of `src` with more Rust files than this has one too.
const FEW: usize = 2;

#[test]
fn every_folder_documents_itself() {
    let files = ALWAYS
        .iter()
        .chain(&["src"])
        .flat_map(|folder| walk(&root().join(folder)));
    let files: Vec<String> = files.map(|path| relative(&path)).collect();
    assert_none(&undocumented(&files));
}

/// Complaints about folders of `files` that lack a README.
fn undocumented(files: &[String]) -> Vec<String> {
    let mut rust_files = BTreeMap::<&str, usize>::new();
    for (folder, name) in files.iter().filter_map(|f| f.rsplit_once('/')) {
        *rust_files.entry(folder).or_default() += usize::from(is_rust(name));
    }
    let big = rust_files
        .into_iter()
        .filter(|(folder, n)| folder.starts_with("src/") && *n > FEW)
        .map(|(f, _)| f);
    let always = ALWAYS
        .iter()
        .copied()
        .filter(|a| files.iter().any(|f| f.starts_with(&format!("{a}/"))));
    big.chain(always)
        .filter(|folder| !files.contains(&format!("{folder}/README.md")))
        .map(|folder| format!("{folder}/ has no README.md: say in a few lines what it is for, what is where, and how to add to it"))
        .collect()
}

#[test]
fn this_wall_can_fail() {
    let complaints =
        |files: &[&str]| undocumented(&files.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
    assert_none(&complaints(&[
        "src/a.rs",
        "src/b.rs",
        "src/c.rs",
        "src/x/mod.rs",
        "src/x/y.rs",
        "tests/README.md",
    ]));
    assert_eq!(complaints(&["src/x/a.rs", "src/x/b.rs", "src/x/mod.rs"]).len(), 1);
    assert_eq!(complaints(&["migrations/1_a.sql", "charts/a/README.md"]).len(), 2);
}
