//! The programs of the control plane, and Helm: found, or built once per machine from the Go module proxy.
//!
//! The module files in `controlplane/` and `helm/` pin every version. What was built is kept in
//! `${XDG_CACHE_HOME:-$HOME/.cache}/tarana-devenv/`, in a folder named after their contents, so that every clone on the machine
//! shares it and a new version is a new folder.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::environment;
use crate::error::{Error, Result};

mod build;

/// The programs that a control plane needs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The store behind the API server.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
    /// Garbage collection, namespaces and service accounts; absent in some folders that `$KUBEBUILDER_ASSETS`
    /// names.
    pub kube_controller_manager: Option<PathBuf>,
}

/// A Go module of this folder with the tools it pins.
struct Module {
    name: &'static str,
    folder: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    /// The module whose version is the version of the whole.
    main: &'static str,
    /// What it takes on two cores, for a person who waits.
    patience: &'static str,
    ldflags: fn(&str) -> String,
    /// What `go install` calls a program, and what everybody else does.
    rename: &'static [(&'static str, &'static str)],
}

const CONTROL_PLANE: Module = Module {
    name: "controlplane",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/controlplane"),
    go_mod: include_str!("../controlplane/go.mod"),
    go_sum: include_str!("../controlplane/go.sum"),
    main: "k8s.io/kubernetes",
    patience: "4 to 6 minutes on two cores",
    ldflags: kubernetes_version_flags,
    rename: &[("server", "etcd")],
};

const HELM: Module = Module {
    name: "helm",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/helm"),
    go_mod: include_str!("../helm/go.mod"),
    go_sum: include_str!("../helm/go.sum"),
    main: "helm.sh/helm/v4",
    patience: "1 to 2 minutes on two cores",
    ldflags: |_| "-s -w".to_owned(),
    rename: &[],
};

/// The control plane's programs: those in `$KUBEBUILDER_ASSETS` where that is set, else our own, built now if
/// need be (minutes; progress is told on standard error).
///
/// # Errors
/// [`Error::Missing`] when the folder lacks a program or there is no Go, [`Error::Command`] when the build
/// fails.
pub async fn control_plane() -> Result<Tools> {
    aside(|| match environment::variable("KUBEBUILDER_ASSETS") {
        Some(folder) => from_folder(Path::new(&folder), "$KUBEBUILDER_ASSETS"),
        None => from_folder(&installed(&CONTROL_PLANE)?, "the build"),
    })
    .await
}

/// The folder with our own build of the control plane's programs, and Helm, built now if need be.
///
/// # Errors
/// As [`control_plane`].
pub async fn all() -> Result<[PathBuf; 2]> {
    aside(|| Ok([installed(&CONTROL_PLANE)?, installed(&HELM)?])).await
}

/// Helm, built now if need be.
///
/// # Errors
/// As [`control_plane`].
pub async fn helm() -> Result<PathBuf> {
    aside(|| Ok(installed(&HELM)?.join("helm"))).await
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Io {
        what: "prepare the tools".into(),
        source: error.into(),
    })?
}

fn from_folder(folder: &Path, origin: &str) -> Result<Tools> {
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

/// The folder with the module's programs. One builder at a time; the folder appears when all of them are
/// there.
fn installed(module: &Module) -> Result<PathBuf> {
    let home = cache()?.join(folder_name(module));
    let programs = home.join("bin");
    if programs.is_dir() {
        return Ok(programs);
    }
    fs::create_dir_all(&home).map_err(Error::io(format!("make {}", home.display())))?;
    let _lock = locked(&home.join("lock"))?;
    if programs.is_dir() {
        return Ok(programs);
    }
    build::install(module, &home.join("partial"), &programs)?;
    Ok(programs)
}

fn locked(path: &Path) -> Result<File> {
    let fail = || Error::io(format!("lock {}", path.display()));
    let file = File::create(path).map_err(fail())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!(
                "devenv: waiting for another process that builds ({})",
                path.display()
            );
            file.lock().map_err(fail())?;
        }
        Err(TryLockError::Error(error)) => return Err(fail()(error)),
    }
    Ok(file)
}

fn cache() -> Result<PathBuf> {
    let home = || environment::variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = environment::variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    base.map(|base| base.join("tarana-devenv")).ok_or_else(|| {
        Error::Missing("neither XDG_CACHE_HOME nor HOME says where to keep what is built".into())
    })
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

/// The version that the module file requires of the module's main part, such as `v1.36.3`.
fn version(module: &Module) -> &'static str {
    let required = |line: &'static str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == module.main).and(words.next())
    };
    module.go_mod.lines().find_map(required).unwrap_or("unversioned")
}

/// The linker flags without which the servers call themselves v0.0.0, which Helm refuses to parse.
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
    fn versions_are_read_from_the_module_files() {
        assert_eq!(version(&CONTROL_PLANE), "v1.36.3");
        assert_eq!(version(&HELM), "v4.2.4");
        assert!(kubernetes_version_flags("v1.36.3").contains("gitMinor=36"));
        assert!(folder_name(&CONTROL_PLANE).starts_with("controlplane-v1.36.3-"));
    }

    #[test]
    fn a_folder_without_the_programs_is_refused_by_name() {
        let told = from_folder(Path::new("/nowhere"), "$KUBEBUILDER_ASSETS")
            .unwrap_err()
            .to_string();
        assert!(told.contains("`etcd` in /nowhere"), "{told}");
    }
}
