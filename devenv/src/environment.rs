//! The one place of this crate that reads environment variables.

use std::env;
use std::path::{Path, PathBuf};

/// The variable's value, or nothing where it is absent, empty or not Unicode.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate is started by tests, which have no command line"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the program of that name is, looked for in `$PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

/// Whether this is a file that can be there to be run.
pub(crate) fn is_program(file: &Path) -> bool {
    file.is_file()
}
