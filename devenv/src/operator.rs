//! Runs the operator as a separate process with the RBAC rights of its service account.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::ControlPlane;
use crate::error::{Error, Result};
use crate::process_group::{log_tail, random_hex};
use crate::spawner::{self, StopSignal};

/// The name of the Helm release, of the namespace's objects and of the service account.
pub const SERVICE_ACCOUNT: &str = "tarana-operator";
/// The namespace of the service account and the Lease.
pub const NAMESPACE: &str = "tarana-system";

/// The command that renders the operator's service account, its RBAC rules and the roles of its users from the chart, without the Deployment.
pub const RENDER_RBAC_COMMAND: &str = "helm template tarana-operator charts/tarana-operator --namespace tarana-system \
                          --show-only templates/serviceaccount.yaml --show-only templates/rbac.yaml --show-only templates/users.yaml";

/// A running operator. It is killed when this is dropped, and also however this process ends.
#[derive(Debug)]
pub struct Operator {
    process: Mutex<Child>,
    pid: u32,
    log: PathBuf,
}

impl Operator {
    /// Starts `program run` as the service account [`SERVICE_ACCOUNT`] of [`NAMESPACE`], which must exist with its rights. Writes the
    /// operator's output to `log`; `variables` are added to its environment.
    ///
    /// # Errors
    /// [`Error::Io`] when the program cannot be started or a file cannot be written, [`Error::Command`] when the account does not exist.
    pub async fn start(
        program: &Path,
        plane: &ControlPlane,
        log: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let token = plane
            .kubectl()
            .run(&["create", "token", SERVICE_ACCOUNT, "--namespace", NAMESPACE])
            .await?;
        // In the control plane's folder, which is private and is removed with the cluster.
        let kubeconfig = plane
            .kubeconfig()
            .with_file_name(format!("operator-{}.kubeconfig", &random_hex()[..8]));
        let text = plane.kubeconfig_for(SERVICE_ACCOUNT, token.trim());
        fs::write(&kubeconfig, text).map_err(Error::io(format!("write {}", kubeconfig.display())))?;
        let log_error = || Error::io(format!("create the log {}", log.display()));
        let output = File::create(log).map_err(log_error())?;

        let mut command = spawner::child_command(program, StopSignal::Kill, None);
        command
            .arg("run")
            .env("KUBECONFIG", &kubeconfig)
            .env("TARANA_LEASE_NAMESPACE", NAMESPACE)
            // Several operators may run on this machine: the admin API listens only where the caller says so.
            .env("TARANA_ADMIN_LISTEN", "")
            .env("TARANA_METRICS_LISTEN", "")
            .envs(variables.iter().copied())
            // Ctrl-C in the terminal must not reach the operator.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(log_error())?)
            .stderr(output);
        let process = spawner::spawn(command).map_err(Error::io(format!("start {}", program.display())))?;
        Ok(Self {
            pid: process.id(),
            process: Mutex::new(process),
            log: log.to_owned(),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The log file, which outlives the operator.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Checks that the operator is running.
    ///
    /// # Errors
    /// [`Error::Ended`] when it has exited.
    pub fn check_running(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match process
            .try_wait()
            .map_err(Error::io("read the operator's state"))?
        {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                name: SERVICE_ACCOUNT,
                status: status.to_string(),
                tail: log_tail(&self.log),
            }),
        }
    }

    /// The peak resident memory in bytes, as Linux reports it.
    ///
    /// # Errors
    /// [`Error::Io`] when the operator has exited, or without `/proc`.
    pub fn peak_memory(&self) -> Result<u64> {
        self.memory_field("VmHWM")
    }

    /// The resident memory in bytes, as Linux reports it.
    ///
    /// # Errors
    /// [`Error::Io`] when the operator has exited, or without `/proc`.
    pub fn memory(&self) -> Result<u64> {
        self.memory_field("VmRSS")
    }

    fn memory_field(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
        parse(&status, field).ok_or_else(|| {
            Error::io(format!("find {field} in {path}"))(std::io::ErrorKind::InvalidData.into())
        })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SIGKILL: a graceful shutdown would release the Lease, but the cluster is removed as well.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// The value of a field such as `VmHWM: 12345 kB`, in bytes.
fn parse(status: &str, field: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value
        .trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_in_bytes() {
        let status = "VmPeak:\t  9 kB\nVmHWM:\t   21844 kB\n";
        assert_eq!(parse(status, "VmHWM"), Some(21844 * 1024));
        assert_eq!(parse(status, "VmRSS"), None);
        assert_eq!(parse("VmRSS: 9 MB", "VmRSS"), None);
    }
}
