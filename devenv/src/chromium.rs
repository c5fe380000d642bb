//! Finds Chromium, or installs it with apt.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::{apt, environment};

/// The path of Chromium, installed if necessary.
///
/// # Errors
/// [`Error::Missing`] when it cannot be installed.
pub async fn chromium() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    if let Some(program) = environment::find_program("chromium") {
        return Ok(program);
    }
    apt::install("Chromium", "chromium", "install chromium").await?;
    environment::find_program("chromium")
        .ok_or_else(|| Error::Missing("apt installed Chromium, but there is no chromium in the PATH".into()))
}
