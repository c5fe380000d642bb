//! Finds PostgreSQL's programs, or lets apt install what is missing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::environment;
use crate::error::{Error, Result};
use crate::household::last_lines;

/// Where Debian keeps the programs, a folder per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Without the middle line Debian's package would start a server of its own as soon as it is installed.
const INSTALL_SERVER: &str = "install postgresql-common \
    && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && install postgresql";

/// Defines `install` for the scripts. Another apt may be at work: wait for its lock rather than fail.
const PREPARE: &str =
    "install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \"$@\"; }
    apt-get update -q";

/// One apt at a time within this process; it waits for those of other processes by itself.
static APT: Mutex<()> = Mutex::const_new(());

/// The folder with `initdb` and `postgres`, installed by apt when missing.
pub(super) async fn server() -> Result<PathBuf> {
    let _turn = APT.lock().await;
    if let Some(folder) = found() {
        return Ok(folder);
    }
    apt("PostgreSQL", "postgresql", INSTALL_SERVER).await?;
    found().ok_or_else(|| {
        Error::Missing(format!(
            "apt installed PostgreSQL, but there is no initdb in {DEBIAN}/*/bin"
        ))
    })
}

/// Installs PostGIS for the version of PostgreSQL that [`server`] finds.
pub(super) async fn postgis() -> Result<()> {
    let programs = server().await?;
    let _turn = APT.lock().await;
    let package = format!("postgresql-{}-postgis-3", major(&programs).await?);
    apt("PostGIS", &package, &format!("install {package}")).await
}

/// In the PATH, or else the newest of Debian's.
fn found() -> Option<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    if let Some(folder) = environment::program("initdb").and_then(|file| file.parent().map(Path::to_owned))
        && complete(&folder)
    {
        return Some(folder);
    }
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = std::fs::read_dir(DEBIAN)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut versions: Vec<_> = versions.filter(|folder| version(folder).is_some()).collect();
    versions.sort_by_key(version);
    versions
        .into_iter()
        .rev()
        .map(|folder| folder.join("bin"))
        .find(|folder| complete(folder))
}

/// The major version, such as `15`, from `postgres (PostgreSQL) 15.18 (Debian …)`.
async fn major(programs: &Path) -> Result<String> {
    let program = programs.join("postgres");
    let output = Command::new(&program).arg("--version").output().await;
    let output = output.map_err(Error::io(format!("run {}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let major = numbers.and_then(|word| word.split('.').next()).map(str::to_owned);
    major.ok_or_else(|| Error::Missing(format!("{} does not tell its version: {text}", program.display())))
}

/// PgBouncer's program, installed by apt when missing.
pub(super) async fn pgbouncer() -> Result<PathBuf> {
    // Debian keeps it where only root's path leads.
    let found = || {
        environment::program("pgbouncer")
            .or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|p| p.is_file()))
    };
    let _one = APT.lock().await;
    if let Some(program) = found() {
        return Ok(program);
    }
    apt("PgBouncer", "pgbouncer", "install pgbouncer").await?;
    found().ok_or_else(|| {
        Error::Missing("apt installed PgBouncer, but there is no pgbouncer in /usr/sbin".into())
    })
}

async fn apt(what: &str, package: &str, script: &str) -> Result<()> {
    if environment::program("apt-get").is_none() {
        return Err(Error::Missing(format!(
            "{what} is not installed, and there is no apt here: install it, or set DATABASE_URL"
        )));
    }
    eprintln!("devenv: {what} is missing: installing {package} by apt");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{PREPARE} && {script}"))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    let output = command.output().await.map_err(Error::io("run apt-get"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = last_lines(&String::from_utf8_lossy(&output.stderr));
    Err(Error::Missing(format!(
        "{what} could not be installed (`sudo apt-get install {package}` does it by hand): {said}"
    )))
}
