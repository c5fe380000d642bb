//! Rule: each folder has a README.

use std::collections::BTreeMap;

use super::assert_no_violations;
use super::files::{is_rust, relative, root, walk};

/// Folders that always have a README. `src` itself is documented by the code tour in `lib.rs`.
const ALWAYS: &[&str] = &["crds", "migrations", "devenv", "charts", "tests"];
/// A folder of `src` with more Rust files than this needs one too.
const MAX_WITHOUT: usize = 2;

#[test]
fn every_folder_has_a_readme() {
    let files = ALWAYS
        .iter()
        .chain(&["src"])
        .flat_map(|folder| walk(&root().join(folder)));
    let files: Vec<String> = files.map(|path| relative(&path)).collect();
    assert_no_violations(&undocumented(&files));
}

/// Violations in folders of `files` that lack a README.
fn undocumented(files: &[String]) -> Vec<String> {
    let mut rust_files = BTreeMap::<&str, usize>::new();
    for (folder, name) in files.iter().filter_map(|f| f.rsplit_once('/')) {
        *rust_files.entry(folder).or_default() += usize::from(is_rust(name));
    }
    let big = rust_files
        .into_iter()
        .filter(|(folder, n)| folder.starts_with("src/") && *n > MAX_WITHOUT)
        .map(|(f, _)| f);
    let always = ALWAYS
        .iter()
        .copied()
        .filter(|a| files.iter().any(|f| f.starts_with(&format!("{a}/"))));
    big.chain(always)
        .filter(|folder| !files.contains(&format!("{folder}/README.md")))
        .map(|folder| format!("{folder}/ has no README.md: describe in a few lines its purpose, its files, and how to extend it"))
        .collect()
}

#[test]
fn violations_are_detected() {
    let violations =
        |files: &[&str]| undocumented(&files.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
    assert_no_violations(&violations(&[
        "src/a.rs",
        "src/b.rs",
        "src/c.rs",
        "src/x/mod.rs",
        "src/x/y.rs",
        "tests/README.md",
    ]));
    assert_eq!(violations(&["src/x/a.rs", "src/x/b.rs", "src/x/mod.rs"]).len(), 1);
    assert_eq!(violations(&["migrations/1_a.sql", "charts/a/README.md"]).len(), 2);
}
