//! A container of the built image: its own mounts, processes and user, a read-only root, and no privileges.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::buildah::Image;
use crate::environment::wait_until;

/// Mounts `/proc`, puts `$2` in the place of the certificate authorities, makes everything else read-only, and becomes the image's user `$3`.
///
/// `buildah run` cannot make the root read-only, and a container runtime is not installed everywhere.
const ENTER: &str = "root=$1 authorities=$2 user=$3; shift 3
    mount --bind \"$root\" \"$root\" && mount -t proc proc \"$root/proc\" \
    && mount --bind -o ro \"$authorities\" \"$root/etc/ssl/certs/ca-certificates.crt\" \
    && mount -o remount,bind,ro \"$root\" && exec setpriv --no-new-privs chroot --userspec=\"$user\" \"$root\" \"$@\"";

/// The folder of the image's files that `make image` and `make test-long` write.
pub fn built_files() -> PathBuf {
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let files = target.join("image-files").join(arch);
    assert!(
        files.is_dir(),
        "{} is missing: run `packaging/image-files.sh {arch} {}`",
        files.display(),
        files.display()
    );
    files
}

/// A container that has not started.
pub struct Container {
    root: PathBuf,
    user: String,
    entry_point: Vec<String>,
    /// `NAME=value`.
    environment: Vec<String>,
    authorities: PathBuf,
}

impl Container {
    /// Creates a container. Its program trusts `authorities` (PEM), or the image's if there are none.
    pub async fn create(image: &Image, authorities: Option<&str>) -> Self {
        let config = image.config().await;
        let words = |name: &str| {
            let words = config[name].as_array().unwrap().iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let container = image.container().await;
        let root = PathBuf::from(image.buildah(&["mount", &container]).await.trim());
        for folder in ["proc", "test"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let bundle = root.join("test/authorities.pem");
        let own = || fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        fs::write(&bundle, authorities.map_or_else(own, str::to_owned)).unwrap();
        Self {
            user: config["User"].as_str().unwrap().to_owned(),
            entry_point: [words("Entrypoint"), words("Cmd")].concat(),
            environment: words("Env"),
            authorities: bundle,
            root,
        }
    }

    /// Copies a file into the container, readable for its user, and returns its path there.
    pub fn add(&self, file: &Path) -> PathBuf {
        let name = Path::new("test").join(file.file_name().unwrap());
        let copy = self.root.join(&name);
        fs::copy(file, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).unwrap();
        Path::new("/").join(name)
    }

    /// The command that starts the image's program, as the first process of its namespace.
    ///
    /// The namespace around it ends with the process that the command starts: a signal for the death of the parent alone would be lost when the
    /// program becomes another user.
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid"])
            .args(["--fork", "--kill-child", "unshare", "--pid", "--fork"])
            .args(["sh", "-c", ENTER, "sh"])
            .args([&self.root, &self.authorities])
            .arg(&self.user)
            .args(&self.entry_point)
            .env_clear()
            .envs(
                self.environment
                    .iter()
                    .filter_map(|variable| variable.split_once('=')),
            );
        command
    }
}

/// The id of the program in a container whose command has this process id.
pub async fn program_of(pid: u32) -> u32 {
    wait_until("the image's program is running", || async {
        let program = only_child(only_child(pid)?)?;
        let file = fs::read_link(format!("/proc/{program}/exe")).ok()?;
        file.ends_with("tarana-operator").then_some(program)
    })
    .await
}

fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.trim().parse().ok()
}

/// A field of `/proc/PID/status`.
pub fn status_field(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name}"))
        .trim()
        .to_owned()
}

/// A field of `/proc/PID/status` that is a size, in megabytes.
pub fn megabytes(pid: u32, name: &str) -> f64 {
    let field = status_field(pid, name);
    let kib: f64 = field.strip_suffix(" kB").unwrap().parse().unwrap();
    kib * 1024.0 / 1e6
}
