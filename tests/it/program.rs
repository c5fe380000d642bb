//! The operator as people run it: a process of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::servers;
use super::world::{World, until};

/// A process of the operator. It goes with the thread that started it.
pub struct Program {
    process: Child,
    log: PathBuf,
}

impl Program {
    /// One that works without a Lease, in this world, as the cluster's admin.
    pub async fn start(w: &World, name: &str) -> Self {
        Self::by(w, name, servers::plane().await.kubeconfig(), &[])
    }

    /// The same as whoever this kubeconfig names, with more variables.
    pub fn by(w: &World, name: &str, kubeconfig: &Path, variables: &[(&str, &str)]) -> Self {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.log", w.namespace));
        let output = File::create(&log).unwrap();
        let process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "--",
                env!("CARGO_BIN_EXE_tarana-operator"),
                "run",
            ])
            .env("KUBECONFIG", kubeconfig)
            .env("TARANA_LEADER_ELECT", "false")
            .env("TARANA_WATCH_NAMESPACES", &w.namespace)
            .env("TARANA_IDENTITY", name)
            .env("TARANA_ADMIN_LISTEN", "")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { process, log }
    }

    /// SIGKILL; returns when nothing of it is left.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// SIGSTOP; returns when the process stands still.
    pub async fn stop(&self) {
        self.signal("-STOP");
        let status = format!("/proc/{}/status", self.process.id());
        until("the process stands still", || async {
            std::fs::read_to_string(&status)
                .unwrap()
                .contains("State:\tT")
                .then_some(())
        })
        .await;
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    /// Its log so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log has this.
    pub async fn says(&self, what: &str) {
        until(&format!("{} has {what:?}", self.log.display()), || async {
            self.said().contains(what).then_some(())
        })
        .await;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}
