//! Reads the files of this repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file: its path relative to the root, with `/`, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file that must exist.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path} cannot be read: {e}"))
}

/// All `.rs` files below `folder` (relative to the root), sorted by path; none if the folder does not exist.
pub fn rust_files(folder: &str) -> Vec<Source> {
    walk(&root().join(folder))
        .iter()
        .filter(|path| is_rust(path))
        .map(|path| Source {
            path: relative(path),
            text: fs::read_to_string(path).unwrap(),
        })
        .collect()
}

/// Whether a path is that of a Rust file.
pub fn is_rust(path: impl AsRef<Path>) -> bool {
    path.as_ref().extension().is_some_and(|e| e == "rs")
}

/// All files below `folder`, sorted by path. Links are not followed.
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A path below the root, with `/`.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_string_lossy()
        .replace('\\', "/")
}
