//! The operator as a process of its own, with the rights of whoever its kubeconfig names.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::ControlPlane;
use crate::error::{Error, Result};
use crate::household::{random, tail};
use crate::keeper::{self, Farewell};

/// The name that Helm's release, the namespace's objects and the service account share.
pub const ACCOUNT: &str = "tarana-operator";
/// The namespace of service account and lease.
pub const NAMESPACE: &str = "tarana-system";

/// What renders the operator's rights, and nothing that would need a node, out of the chart.
pub const RIGHTS: &str = "helm template tarana-operator charts/tarana-operator --namespace tarana-system \
                          --show-only templates/serviceaccount.yaml --show-only templates/rbac.yaml";

/// A running operator. It is killed when this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct Operator {
    process: Mutex<Child>,
    pid: u32,
    log: PathBuf,
}

impl Operator {
    /// Starts `program run` under the service account [`ACCOUNT`] of [`NAMESPACE`], which must have its rights already. It logs into
    /// `log`; `variables` are added to its environment.
    ///
    /// # Errors
    /// [`Error::Io`] when the program or the files refuse, [`Error::Command`] when there is no such account.
    pub async fn start(
        program: &Path,
        plane: &ControlPlane,
        log: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let token = plane
            .kubectl()
            .run(&["create", "token", ACCOUNT, "--namespace", NAMESPACE])
            .await?;
        // Beside the admin's own, in a folder that nobody else may read and that goes with the cluster.
        let kubeconfig = plane
            .kubeconfig()
            .with_file_name(format!("operator-{}.kubeconfig", &random()[..8]));
        let text = plane.kubeconfig_for(ACCOUNT, token.trim());
        fs::write(&kubeconfig, text).map_err(Error::io(format!("write {}", kubeconfig.display())))?;
        let doing = || Error::io(format!("log into {}", log.display()));
        let output = File::create(log).map_err(doing())?;

        let mut command = keeper::leashed(program, Farewell::Kill, None);
        command
            .arg("run")
            .env("KUBECONFIG", &kubeconfig)
            .env("TARANA_LEASE_NAMESPACE", NAMESPACE)
            // Several may run on this machine; whoever wants the admin API says where.
            .env("TARANA_ADMIN_LISTEN", "")
            .envs(variables.iter().copied())
            // A Ctrl-C in the terminal is for whoever started this.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(doing())?)
            .stderr(output);
        let process = keeper::spawn(command).map_err(Error::io(format!("start {}", program.display())))?;
        Ok(Self {
            pid: process.id(),
            process: Mutex::new(process),
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that it logs into; it stays when the operator goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sees that it still runs.
    ///
    /// # Errors
    /// [`Error::Ended`] when it does not.
    pub fn check(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match process.try_wait().map_err(Error::io("look after the operator"))? {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                name: ACCOUNT,
                status: status.to_string(),
                tail: tail(&self.log),
            }),
        }
    }

    /// The most memory that it ever held, in bytes, as Linux tells it.
    ///
    /// # Errors
    /// [`Error::Io`] when it is gone, or where there is no `/proc`.
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
        peak(&status)
            .ok_or_else(|| Error::io(format!("find VmHWM in {path}"))(std::io::ErrorKind::InvalidData.into()))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Killed, not asked: the cluster that holds its lease goes as well.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// `VmHWM: 12345 kB`, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak("VmPeak:\t  9 kB\nVmHWM:\t   21844 kB\n"), Some(21844 * 1024));
        assert_eq!(peak("VmPeak:\t  9 kB\n"), None);
    }
}
