//! Finds promtool, or takes it out of Debian's package `prometheus`, whose installation would start a server.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::{apt, environment, tools};

/// Takes the program out of the package, and moves it to `$1` when it is complete.
const EXTRACT: &str = "folder=$(mktemp -d) && trap 'rm -rf \"$folder\"' EXIT && cd \"$folder\" \
    && apt-get download -q -o APT::Sandbox::User=root prometheus && dpkg-deb -x prometheus_*.deb content \
    && mkdir -p \"${1%/*}\" && mv content/usr/bin/promtool \"$1.$$\" && mv \"$1.$$\" \"$1\"";

/// The path of promtool, which checks and tests the rules of Prometheus. It is kept beside the programs that are built.
///
/// # Errors
/// [`Error::Missing`] when it cannot be downloaded.
pub async fn promtool() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    if let Some(program) = environment::find_program("promtool") {
        return Ok(program);
    }
    let kept = tools::cache_folder()?.join("prometheus").join("promtool");
    if environment::is_program(&kept) {
        return Ok(kept);
    }
    apt::install_to("promtool", "prometheus", EXTRACT, &kept).await?;
    Some(kept)
        .filter(|file| environment::is_program(file))
        .ok_or_else(|| {
            Error::Missing("Debian's package prometheus was downloaded, but it contains no promtool".into())
        })
}
