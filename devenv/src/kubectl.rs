//! kubectl, told which cluster it is for.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::error::{Error, Result};

/// A kubectl that talks to one cluster as one user, whatever context is current on this machine.
#[derive(Clone, Debug)]
pub struct Kubectl {
    /// The program.
    pub path: PathBuf,
    /// The file that names cluster and user. What kubectl caches is kept in the same folder.
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    /// Runs kubectl with these arguments and returns what it printed on standard output.
    ///
    /// # Errors
    /// [`Error::Command`] with its standard error when it fails, [`Error::Io`] when it cannot be started.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with(args, "").await
    }

    /// Like [`Kubectl::run`], with a text on standard input.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let doing = || Error::io(format!("run {}", self.path.display()));
        let mut child = self.command(args).spawn().map_err(doing())?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without having read all: then its own words are the better error.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(doing())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Command {
            program: format!("kubectl {}", args.join(" ")),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Applies a YAML or JSON text, server-side, and returns what kubectl said of each object.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub async fn apply(&self, manifest: &str) -> Result<String> {
        self.run_with(&["apply", "--server-side", "--filename", "-"], manifest)
            .await
    }

    /// The same program for another user or cluster.
    #[must_use]
    pub fn with_kubeconfig(&self, kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            path: self.path.clone(),
            kubeconfig: kubeconfig.into(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        // Not in the home folder: its cache is by address, and our ports come back with other clusters behind
        // them.
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
