//! Finds the programs of the control plane and Helm, or builds them once per machine from the Go module proxy.
//!
//! The module files in `controlplane/` and `helm/` pin every version. The programs are kept in
//! `${XDG_CACHE_HOME:-$HOME/.cache}/tarana-devenv/`, in a folder named after a hash of those files, so that every clone on
//! the machine shares them.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::environment;
use crate::error::{Error, Result};

mod build;

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The API server's store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
    /// Garbage collection, namespace deletion and service accounts. Some folders that `$KUBEBUILDER_ASSETS` names lack it.
    pub kube_controller_manager: Option<PathBuf>,
}

/// A Go module whose `tool` directives pin the programs.
struct Module {
    name: &'static str,
    folder: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// The dependency whose version names the build.
    main: &'static str,
    /// The expected build time, shown to the user.
    build_time: &'static str,
    ldflags: fn(&str) -> String,
    /// Programs to rename: (name from `go install`, usual name).
    rename: &'static [(&'static str, &'static str)],
}

const CONTROL_PLANE: Module = Module {
    name: "controlplane",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/controlplane"),
    go_mod: include_str!("../controlplane/go.mod"),
    go_sum: include_str!("../controlplane/go.sum"),
    main: "k8s.io/kubernetes",
    build_time: "4 to 6 minutes on two cores",
    ldflags: kubernetes_version_flags,
    rename: &[("server", "etcd")],
};

const HELM: Module = Module {
    name: "helm",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/helm"),
    go_mod: include_str!("../helm/go.mod"),
    go_sum: include_str!("../helm/go.sum"),
    main: "helm.sh/helm/v4",
    build_time: "1 to 2 minutes on two cores",
    ldflags: |_| "-s -w".to_owned(),
    rename: &[],
};

/// The control plane's programs: from `$KUBEBUILDER_ASSETS` when it is set, otherwise our own build. A first build takes
/// minutes and reports its progress on standard error.
///
/// # Errors
/// [`Error::Missing`] when the folder lacks a program or Go is missing, [`Error::Command`] when the build fails.
pub async fn control_plane() -> Result<Tools> {
    run_blocking(|| match environment::variable("KUBEBUILDER_ASSETS") {
        Some(folder) => find_in(Path::new(&folder), "$KUBEBUILDER_ASSETS"),
        None => find_in(&ensure_installed(&CONTROL_PLANE)?, "the build"),
    })
    .await
}

/// The folders with our own builds of the control plane and of Helm, built if necessary.
///
/// # Errors
/// As [`control_plane`].
pub async fn all() -> Result<[PathBuf; 2]> {
    run_blocking(|| Ok([ensure_installed(&CONTROL_PLANE)?, ensure_installed(&HELM)?])).await
}

/// The path of Helm, built if necessary.
///
/// # Errors
/// As [`control_plane`].
pub async fn helm() -> Result<PathBuf> {
    run_blocking(|| Ok(ensure_installed(&HELM)?.join("helm"))).await
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| Error::Io {
        what: "prepare the tools".into(),
        source: error.into(),
    })?
}

fn find_in(folder: &Path, origin: &str) -> Result<Tools> {
    let find = |name: &str| Some(folder.join(name)).filter(|file| environment::is_program(file));
    let need = |name: &str| {
        find(name).ok_or_else(|| {
            Error::Missing(format!(
                "there is no `{name}` in {} ({origin}); unset KUBEBUILDER_ASSETS to have it built",
                folder.display()
            ))
        })
    };
    Ok(Tools {
        etcd: need("etcd")?,
        kube_apiserver: need("kube-apiserver")?,
        kubectl: need("kubectl")?,
        kube_controller_manager: find("kube-controller-manager"),
    })
}

/// The folder with the module's programs, built if necessary. A lock admits one builder at a time; the folder is renamed
/// into place when it is complete.
fn ensure_installed(module: &Module) -> Result<PathBuf> {
    let home = cache_folder()?.join(folder_name(module));
    let bin = home.join("bin");
    if bin.is_dir() {
        return Ok(bin);
    }
    fs::create_dir_all(&home).map_err(Error::io(format!("create {}", home.display())))?;
    let _lock = acquire_lock(&home.join("lock"))?;
    if bin.is_dir() {
        return Ok(bin);
    }
    build::install(module, &home.join("partial"), &bin)?;
    Ok(bin)
}

fn acquire_lock(path: &Path) -> Result<File> {
    let lock_error = || Error::io(format!("lock {}", path.display()));
    let file = File::create(path).map_err(lock_error())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!(
                "devenv: waiting for another process that is building ({})",
                path.display()
            );
            file.lock().map_err(lock_error())?;
        }
        Err(TryLockError::Error(error)) => return Err(lock_error()(error)),
    }
    Ok(file)
}

/// The folder of this crate's programs.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let home = || environment::variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = environment::variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    base.map(|base| base.join("tarana-devenv"))
        .ok_or_else(|| Error::Missing("set XDG_CACHE_HOME or HOME: the built programs are kept there".into()))
}

fn folder_name(module: &Module) -> String {
    let version = version(module);
    let all = [module.go_mod, module.go_sum, &(module.ldflags)(version)].join("\0");
    let head = digest(&SHA256, all.as_bytes())
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    format!("{}-{version}-{head:016x}", module.name)
}

/// The version of the module's main dependency in `go.mod`, such as `v1.36.3`.
fn version(module: &Module) -> &'static str {
    let required = |line: &'static str| {
        let mut fields = line.split_whitespace();
        fields
            .next()
            .filter(|field| *field == module.main)
            .and(fields.next())
    };
    module.go_mod.lines().find_map(required).unwrap_or("unversioned")
}

/// The linker flags that set the servers' version. Without them they report v0.0.0, which Helm cannot parse.
fn kubernetes_version_flags(version: &str) -> String {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let component = "k8s.io/component-base/version";
    format!(
        "-s -w -X {component}.gitVersion={version} -X {component}.gitMajor={major} -X {component}.gitMinor={minor} \
         -X k8s.io/client-go/pkg/version.gitVersion={version}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_module_files() {
        assert_eq!(version(&CONTROL_PLANE), "v1.36.3");
        assert_eq!(version(&HELM), "v4.2.4");
        assert!(kubernetes_version_flags("v1.36.3").contains("gitMinor=36"));
        assert!(folder_name(&CONTROL_PLANE).starts_with("controlplane-v1.36.3-"));
    }

    #[test]
    fn a_missing_program_is_named_with_its_folder() {
        let message = find_in(Path::new("/nowhere"), "$KUBEBUILDER_ASSETS")
            .unwrap_err()
            .to_string();
        assert!(message.contains("`etcd` in /nowhere"), "{message}");
    }
}
