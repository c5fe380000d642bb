//! Finds promtool, or takes it out of Debian's package `prometheus`, whose installation would start a server.

use std::path::PathBuf;

use crate::error::Result;
use crate::{apt, environment, tools};

/// The path of promtool, which checks and tests the rules of Prometheus. It is kept beside the programs that are built.
///
/// # Errors
/// [`Error::Missing`](crate::error::Error::Missing) when it cannot be downloaded.
pub async fn promtool() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    if let Some(program) = environment::find_program("promtool") {
        return Ok(program);
    }
    let kept = tools::cache_folder()?.join("prometheus").join("promtool");
    if environment::is_program(&kept) {
        return Ok(kept);
    }
    apt::extract("promtool", "prometheus", "usr/bin/promtool", &kept).await?;
    Ok(kept)
}
