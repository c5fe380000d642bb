//! Reads environment variables. No other module of this crate does.

use std::env;
use std::path::{Path, PathBuf};

/// The variable's value; `None` when it is absent, empty or not Unicode.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate is started by tests, which have no command line"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The path of a program in `$PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

/// Whether the path is a file.
pub(crate) fn is_program(file: &Path) -> bool {
    file.is_file()
}
