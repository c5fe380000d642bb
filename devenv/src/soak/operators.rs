//! Manages the operator processes: starts, signals and restarts them, like a Deployment.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::proxy::HttpProxy;
use crate::{ControlPlane, FakeClock, NAMESPACE, Operator, SERVICE_ACCOUNT};

/// How long a process may take to exit after SIGTERM, as in Kubernetes.
const GRACE: Duration = Duration::from_secs(30);
/// The delay before a process that exited is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// One operator process. Its name stands for a pod's: a restarted process keeps it.
struct OperatorProcess {
    name: &'static str,
    operator: Operator,
    started_at: Instant,
    frozen: bool,
}

/// The process id of the leader and its start time, shared with the sampler; `None` while it is stopped or gone.
#[derive(Clone, Default)]
pub(super) struct LeaderProcess(Arc<Mutex<Option<(u32, Instant)>>>);

impl LeaderProcess {
    pub(super) fn get(&self) -> Option<(u32, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running operators: one, or temporarily two.
pub(super) struct Operators {
    program: PathBuf,
    folder: PathBuf,
    kubeconfig: PathBuf,
    clock: FakeClock,
    processes: Vec<OperatorProcess>,
    started: usize,
    /// Operators that exited by themselves and are due for a restart.
    exited: Vec<(&'static str, Instant)>,
    leader: LeaderProcess,
}

impl Operators {
    /// The operators reach the API server through this proxy, and have this clock.
    pub(super) async fn new(
        plane: &ControlPlane,
        proxy: &HttpProxy,
        program: PathBuf,
        folder: PathBuf,
        clock: FakeClock,
    ) -> Result<Self> {
        let args = [
            "create",
            "token",
            SERVICE_ACCOUNT,
            "--namespace",
            NAMESPACE,
            "--duration=24h",
        ];
        let token = plane.kubectl().run(&args).await?;
        let kubeconfig = plane.kubeconfig().with_file_name("soak.kubeconfig");
        let text = plane.kubeconfig_for_url(&proxy.url(), SERVICE_ACCOUNT, token.trim());
        fs::write(&kubeconfig, text).map_err(Error::io(format!("write {}", kubeconfig.display())))?;
        Ok(Self {
            program,
            folder,
            kubeconfig,
            clock,
            processes: Vec::new(),
            started: 0,
            exited: Vec::new(),
            leader: LeaderProcess::default(),
        })
    }

    /// Starts an operator.
    pub(super) async fn start(&mut self, plane: &ControlPlane, name: &'static str) -> Result<()> {
        self.started += 1;
        let log = self
            .folder
            .join(format!("operator-{:04}-{name}.log", self.started));
        let kubeconfig = self.kubeconfig.display().to_string();
        let clock = self.clock.variables();
        let mut variables = vec![
            ("KUBECONFIG", kubeconfig.as_str()),
            ("TARANA_IDENTITY", name),
            ("TARANA_RESYNC_SECONDS", "60"),
        ];
        variables.extend(clock.iter().map(|(name, value)| (*name, value.as_str())));
        let operator = Operator::start(&self.program, plane, &log, &variables).await?;
        self.processes.push(OperatorProcess {
            name,
            operator,
            started_at: Instant::now(),
            frozen: false,
        });
        self.publish_leader();
        Ok(())
    }

    /// The expected leader: the operator that was started first.
    pub(super) fn leader(&self) -> Option<&'static str> {
        self.processes.first().map(|process| process.name)
    }

    /// A shared view of the leader's process, for the sampler.
    pub(super) fn leader_process(&self) -> LeaderProcess {
        self.leader.clone()
    }

    fn publish_leader(&self) {
        let leader = self.processes.first().filter(|process| !process.frozen);
        let leader = leader.map(|process| (process.operator.pid(), process.started_at));
        *self.leader.0.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    /// The name for a second operator.
    pub(super) fn standby_name(&self) -> &'static str {
        if self.leader() == Some("first") {
            "second"
        } else {
            "first"
        }
    }

    /// Sends SIGKILL.
    pub(super) fn kill(&mut self, name: &str) {
        // Drop kills the process and waits for it.
        self.processes.retain(|process| process.name != name);
        self.publish_leader();
    }

    /// Sends SIGTERM and waits for the exit. Returns whether the operator exited in time.
    pub(super) async fn terminate(&mut self, name: &str) -> Result<bool> {
        let Some(at) = self.processes.iter().position(|process| process.name == name) else {
            return Ok(true);
        };
        let process = self.processes.remove(at);
        self.publish_leader();
        send_signal(process.operator.pid(), "TERM").await?;
        let deadline = Instant::now() + GRACE;
        while process.operator.check_running().is_ok() {
            if Instant::now() > deadline {
                return Ok(false);
            }
            sleep(POLL_INTERVAL).await;
        }
        Ok(true)
    }

    /// Sends SIGSTOP.
    pub(super) async fn freeze(&mut self, name: &str) -> Result<()> {
        self.set_frozen(name, true).await
    }

    /// Sends SIGCONT.
    pub(super) async fn thaw(&mut self, name: &str) -> Result<()> {
        self.set_frozen(name, false).await
    }

    async fn set_frozen(&mut self, name: &str, frozen: bool) -> Result<()> {
        for process in self.processes.iter_mut().filter(|process| process.name == name) {
            // The operator may have exited a moment ago.
            if process.operator.check_running().is_ok() {
                send_signal(process.operator.pid(), if frozen { "STOP" } else { "CONT" }).await?;
                process.frozen = frozen;
            }
        }
        self.publish_leader();
        Ok(())
    }

    /// Restarts operators that exited by themselves, after a delay. Returns their exit messages.
    pub(super) async fn restart_exited(&mut self, plane: &ControlPlane) -> Result<Vec<String>> {
        let mut exits = Vec::new();
        for at in (0..self.processes.len()).rev() {
            if let Err(ended) = self.processes[at].operator.check_running() {
                let process = self.processes.remove(at);
                exits.push(format!("{}: {ended}", process.name));
                self.exited.push((process.name, Instant::now()));
                self.publish_leader();
            }
        }
        let due = |exited_at: &Instant| exited_at.elapsed() >= RESTART_DELAY;
        let to_restart: Vec<&'static str> = self
            .exited
            .iter()
            .filter(|(_, exited_at)| due(exited_at))
            .map(|(name, _)| *name)
            .collect();
        self.exited.retain(|(_, exited_at)| !due(exited_at));
        for name in to_restart {
            if self.processes.iter().all(|process| process.name != name) {
                self.start(plane, name).await?;
            }
        }
        Ok(exits)
    }

    /// The number of processes started so far.
    pub(super) fn started(&self) -> usize {
        self.started
    }
}

/// Runs `kill -SIGNAL pid`.
pub(super) async fn send_signal(pid: u32, signal: &str) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(pid.to_string());
    let output = kill.output().await.map_err(Error::io("run kill"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        program: format!("kill -{signal} {pid}"),
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
