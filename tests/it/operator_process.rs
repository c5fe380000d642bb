//! The operator as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::environment::{PATIENCE, TestEnvironment, wait_until};
use tarana_operator::fault::Reason;

use super::servers;

/// A process of the operator. It is killed when the thread that started it ends.
pub struct OperatorProcess {
    process: Child,
    log: PathBuf,
}

impl OperatorProcess {
    /// Starts an operator of this environment without leader election, with the rights of the chart's service account.
    pub fn start(env: &TestEnvironment, name: &str) -> Self {
        Self::start_with(env, name, &[])
    }

    /// The same with additional environment variables.
    pub fn start_with(env: &TestEnvironment, name: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_as(env, name, &env.kubeconfig, variables)
    }

    /// The same with the rights of this kubeconfig.
    pub fn start_as(
        env: &TestEnvironment,
        name: &str,
        kubeconfig: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "--",
            env!("CARGO_BIN_EXE_tarana-operator"),
            "run",
        ]);
        Self::start_command(env, name, command, kubeconfig, variables)
    }

    /// The same with a command that starts the operator.
    pub fn start_command(
        env: &TestEnvironment,
        name: &str,
        mut command: Command,
        kubeconfig: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.log", env.namespace));
        let output = File::create(&log).unwrap();
        let process = command
            .env("KUBECONFIG", kubeconfig)
            .env("TARANA_LEADER_ELECT", "false")
            .env("TARANA_WATCH_NAMESPACES", &env.namespace)
            .env("TARANA_IDENTITY", name)
            .env("TARANA_ADMIN_LISTEN", "")
            .env("TARANA_METRICS_LISTEN", "")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// The id of the process that was started.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Starts an operator as in [`Self::start`] and waits until its caches are synced.
    pub async fn start_and_wait(env: &TestEnvironment, name: &str) -> Self {
        let address = servers::free_address().to_string();
        let process = Self::start_with(env, name, &[("TARANA_ADMIN_LISTEN", &address)]);
        servers::wait_until_ready(&format!("http://{address}")).await;
        process
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Sends SIGTERM and waits until the process has ended. Returns whether it reported success.
    pub async fn terminate(&mut self) -> bool {
        self.signal("-TERM");
        self.ends().await
    }

    /// Waits until the process has ended. Returns whether it reported success.
    pub async fn ends(&mut self) -> bool {
        let process = &mut self.process;
        let ended = async {
            loop {
                if let Some(status) = process.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(PATIENCE, ended).await;
        status.expect("the process ends").success()
    }

    /// Sends SIGSTOP and waits until the process is stopped.
    pub async fn pause(&self) {
        self.signal("-STOP");
        let status = format!("/proc/{}/status", self.process.id());
        wait_until("the process is stopped", || async {
            std::fs::read_to_string(&status)
                .unwrap()
                .contains("State:\tT")
                .then_some(())
        })
        .await;
    }

    /// Sends SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// The log so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log contains this reason of a fault.
    pub async fn wait_for_logged_reason(&self, reason: Reason) {
        self.wait_for_log(&format!("{reason}"), 1).await;
    }

    /// Waits until the log contains this text so many times.
    pub async fn wait_for_log(&self, text: &str, times: usize) {
        let what = format!("{} contains {text:?} {times} times", self.log.display());
        wait_until(&what, || async {
            (self.count_in_log(text) >= times).then_some(())
        })
        .await;
    }

    /// How many times the log contains this text.
    pub fn count_in_log(&self, text: &str) -> usize {
        self.log_text().matches(text).count()
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}
