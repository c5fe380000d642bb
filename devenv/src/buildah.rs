//! Finds buildah, or installs it with apt.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::{apt, environment};

/// The path of buildah, which builds and starts container images without a daemon, installed if necessary.
///
/// # Errors
/// [`Error::Missing`] when it cannot be installed.
pub async fn buildah() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    if let Some(program) = environment::find_program("buildah") {
        return Ok(program);
    }
    apt::install("buildah", "buildah", "install buildah").await?;
    environment::find_program("buildah")
        .ok_or_else(|| Error::Missing("apt installed buildah, but there is no buildah in the PATH".into()))
}
