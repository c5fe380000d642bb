//! Installs Debian packages with apt.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

use crate::environment;
use crate::error::{Error, Result};
use crate::process_group::last_lines;

/// Defines `install` for the scripts. It waits for the lock of another apt process.
const PREPARE: &str =
    "install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \"$@\"; }
    apt-get update -q";

/// Serializes apt within this process. apt itself waits for other processes.
static APT: Mutex<()> = Mutex::const_new(());

/// Held while it is checked whether a package is installed, and while it is installed.
pub(crate) async fn lock() -> MutexGuard<'static, ()> {
    APT.lock().await
}

/// Installs a package with a script that calls `install`. The caller holds the lock.
pub(crate) async fn install(what: &str, package: &str, script: &str) -> Result<()> {
    run(what, package, script, Path::new("")).await
}

/// Downloads a package without installing it, takes the file out of it that matches `pattern`, and puts it at `target` when it is complete.
pub(crate) async fn extract(what: &str, package: &str, pattern: &str, target: &Path) -> Result<()> {
    let script = format!(
        "folder=$(mktemp -d) && trap 'rm -rf \"$folder\"' EXIT && cd \"$folder\" \\
        && apt-get download -q -o APT::Sandbox::User=root {package} && dpkg-deb -x {package}_*.deb content \\
        && mkdir -p \"${{1%/*}}\" && mv content/{pattern} \"$1.$$\" && mv \"$1.$$\" \"$1\""
    );
    run(what, package, &script, target).await?;
    if target.is_file() {
        return Ok(());
    }
    Err(Error::Missing(format!(
        "Debian's package {package} was downloaded, but it contains no {what}"
    )))
}

/// Runs a script with the argument `target`.
async fn run(what: &str, package: &str, script: &str, target: &Path) -> Result<()> {
    if environment::find_program("apt-get").is_none() {
        return Err(Error::Missing(format!(
            "{what} is not installed and apt is missing: install {package} by hand"
        )));
    }
    eprintln!("devenv: {what} is missing: installing {package} with apt");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{PREPARE} && {script}"))
        .args([Path::new("sh"), target])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    let output = command.output().await.map_err(Error::io("run apt-get"))?;
    if output.status.success() {
        return Ok(());
    }
    let log = last_lines(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Missing(format!(
        "{what} could not be installed (by hand: `sudo apt-get install {package}`): {log}"
    )))
}
