//! Runs kubectl against one cluster.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::error::{Error, Result};

/// kubectl for one cluster and one user, independent of the machine's current context.
#[derive(Clone, Debug)]
pub struct Kubectl {
    /// The program.
    pub path: PathBuf,
    /// The kubeconfig. kubectl's cache is kept in the same folder.
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    /// Runs kubectl with these arguments and returns its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] with its standard error when kubectl fails, [`Error::Io`] when it cannot be started.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with(args, "").await
    }

    /// Like [`Kubectl::run`], with `input` on standard input.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let run_error = || Error::io(format!("run {}", self.path.display()));
        let mut child = self.command(args).spawn().map_err(run_error())?;
        if let Some(mut stdin) = child.stdin.take() {
            // kubectl may exit before it has read everything. Its own error is then the better one.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(run_error())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Command {
            program: format!("kubectl {}", args.join(" ")),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Applies a YAML or JSON manifest server-side and returns kubectl's output.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        self.run_with(&["apply", "--server-side", "--filename", "-"], manifest)
            .await
    }

    /// The same kubectl for another user or cluster.
    #[must_use]
    pub fn with_kubeconfig(&self, kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            path: self.path.clone(),
            kubeconfig: kubeconfig.into(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        // Not in the home folder: the cache is keyed by address, and another cluster may later get the same port.
        let cache = self
            .kubeconfig
            .parent()
            .unwrap_or(Path::new("."))
            .join("kubectl-cache");
        let mut command = Command::new(&self.path);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(cache)
            .args(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}
