//! Finds PostgreSQL's programs, or installs them with apt.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::error::{Error, Result};
use crate::{apt, environment};

/// Debian's folder for the programs, with a sub-folder per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The middle line keeps Debian's package from starting a server of its own.
const INSTALL_SERVER: &str = "install postgresql-common \
    && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && install postgresql";

/// The folder with `initdb` and `postgres`, installed if necessary.
pub(super) async fn server() -> Result<PathBuf> {
    let _guard = apt::lock().await;
    if let Some(folder) = find_server() {
        return Ok(folder);
    }
    apt::install("PostgreSQL", "postgresql", INSTALL_SERVER).await?;
    find_server().ok_or_else(|| {
        Error::Missing(format!(
            "apt installed PostgreSQL, but there is no initdb in {DEBIAN}/*/bin"
        ))
    })
}

/// Installs PostGIS for the PostgreSQL version that [`server`] finds.
pub(super) async fn postgis() -> Result<()> {
    let programs = server().await?;
    let _guard = apt::lock().await;
    let package = format!("postgresql-{}-postgis-3", major_version(&programs).await?);
    apt::install("PostGIS", &package, &format!("install {package}")).await
}

/// The programs in `$PATH`, or else Debian's newest version.
fn find_server() -> Option<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    if let Some(folder) =
        environment::find_program("initdb").and_then(|file| file.parent().map(Path::to_owned))
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
async fn major_version(programs: &Path) -> Result<String> {
    let program = programs.join("postgres");
    let output = Command::new(&program).arg("--version").output().await;
    let output = output.map_err(Error::io(format!("run {}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .split_whitespace()
        .find(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    let major = version
        .and_then(|version| version.split('.').next())
        .map(str::to_owned);
    major.ok_or_else(|| Error::Missing(format!("{} printed no version: {text}", program.display())))
}

/// The path of PgBouncer, installed if necessary.
pub(super) async fn pgbouncer() -> Result<PathBuf> {
    // Debian installs it into /usr/sbin, which is only in root's PATH.
    let find_pgbouncer = || {
        environment::find_program("pgbouncer")
            .or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|p| p.is_file()))
    };
    let _guard = apt::lock().await;
    if let Some(program) = find_pgbouncer() {
        return Ok(program);
    }
    apt::install("PgBouncer", "pgbouncer", "install pgbouncer").await?;
    find_pgbouncer().ok_or_else(|| {
        Error::Missing("apt installed PgBouncer, but there is no pgbouncer in /usr/sbin".into())
    })
}
