//! The operators: started, hurt, started again, as a Deployment would.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::wires::HttpWire;
use crate::{ACCOUNT, ControlPlane, NAMESPACE, Operator};

/// How long a process may take to end after SIGTERM. Kubernetes grants 30 s.
const GRACE: Duration = Duration::from_secs(30);
/// After this long a process that ended by itself is started again.
const RESTART: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// One operator. Its name is that of a pod: a container that is started again keeps it.
struct Member {
    name: &'static str,
    operator: Operator,
    since: Instant,
    frozen: bool,
}

/// Process id of the leader and when it began, as the crew tells whoever watches; nothing while it is stopped or gone.
#[derive(Clone, Default)]
pub(super) struct Leading(Arc<Mutex<Option<(u32, Instant)>>>);

impl Leading {
    pub(super) fn now(&self) -> Option<(u32, Instant)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One operator, or for a while two.
pub(super) struct Crew {
    program: PathBuf,
    folder: PathBuf,
    kubeconfig: PathBuf,
    members: Vec<Member>,
    started: usize,
    /// Those who ended by themselves, to be started again.
    fallen: Vec<(&'static str, Instant)>,
    leading: Leading,
}

impl Crew {
    /// The operators will use the API server through this wire.
    pub(super) async fn new(
        plane: &ControlPlane,
        wire: &HttpWire,
        program: PathBuf,
        folder: PathBuf,
    ) -> Result<Self> {
        let ask = [
            "create",
            "token",
            ACCOUNT,
            "--namespace",
            NAMESPACE,
            "--duration=24h",
        ];
        let token = plane.kubectl().run(&ask).await?;
        let kubeconfig = plane.kubeconfig().with_file_name("soak.kubeconfig");
        let text = plane.kubeconfig_by(&wire.url(), ACCOUNT, token.trim());
        fs::write(&kubeconfig, text).map_err(Error::io(format!("write {}", kubeconfig.display())))?;
        Ok(Self {
            program,
            folder,
            kubeconfig,
            members: Vec::new(),
            started: 0,
            fallen: Vec::new(),
            leading: Leading::default(),
        })
    }

    /// Starts the operator of that name.
    pub(super) async fn start(&mut self, plane: &ControlPlane, name: &'static str) -> Result<()> {
        self.started += 1;
        let log = self
            .folder
            .join(format!("operator-{:04}-{name}.log", self.started));
        let kubeconfig = self.kubeconfig.display().to_string();
        let variables = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("TARANA_IDENTITY", name),
            ("TARANA_RESYNC_SECONDS", "60"),
        ];
        let operator = Operator::start(&self.program, plane, &log, &variables).await?;
        self.members.push(Member {
            name,
            operator,
            since: Instant::now(),
            frozen: false,
        });
        self.tell();
        Ok(())
    }

    /// The one that leads, as far as this soak arranged it: the oldest.
    pub(super) fn leader(&self) -> Option<&'static str> {
        self.members.first().map(|member| member.name)
    }

    /// For whoever watches.
    pub(super) fn leading(&self) -> Leading {
        self.leading.clone()
    }

    fn tell(&self) {
        let leader = self.members.first().filter(|member| !member.frozen);
        let leader = leader.map(|member| (member.operator.pid(), member.since));
        *self.leading.0.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    /// The name that is free.
    pub(super) fn other(&self) -> &'static str {
        if self.leader() == Some("first") {
            "second"
        } else {
            "first"
        }
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self, name: &str) {
        // Dropping kills it and waits.
        self.members.retain(|member| member.name != name);
        self.tell();
    }

    /// SIGTERM, and waits for the end. True when it came in time.
    pub(super) async fn terminate(&mut self, name: &str) -> Result<bool> {
        let Some(at) = self.members.iter().position(|member| member.name == name) else {
            return Ok(true);
        };
        let member = self.members.remove(at);
        self.tell();
        signal(member.operator.pid(), "TERM").await?;
        let end = Instant::now() + GRACE;
        while member.operator.check().is_ok() {
            if Instant::now() > end {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }

    /// SIGSTOP.
    pub(super) async fn freeze(&mut self, name: &str) -> Result<()> {
        self.hold(name, true).await
    }

    /// SIGCONT.
    pub(super) async fn thaw(&mut self, name: &str) -> Result<()> {
        self.hold(name, false).await
    }

    async fn hold(&mut self, name: &str, frozen: bool) -> Result<()> {
        for member in self.members.iter_mut().filter(|member| member.name == name) {
            // It may have ended by itself a moment ago; then there is nobody to stop.
            if member.operator.check().is_ok() {
                signal(member.operator.pid(), if frozen { "STOP" } else { "CONT" }).await?;
                member.frozen = frozen;
            }
        }
        self.tell();
        Ok(())
    }

    /// Notices who ended by itself, and starts them again after a moment. Tells how they ended.
    pub(super) async fn tend(&mut self, plane: &ControlPlane) -> Result<Vec<String>> {
        let mut told = Vec::new();
        for at in (0..self.members.len()).rev() {
            if let Err(ended) = self.members[at].operator.check() {
                let member = self.members.remove(at);
                told.push(format!("{}: {ended}", member.name));
                self.fallen.push((member.name, Instant::now()));
                self.tell();
            }
        }
        let due = |since: &Instant| since.elapsed() >= RESTART;
        let up: Vec<&'static str> = self
            .fallen
            .iter()
            .filter(|(_, since)| due(since))
            .map(|(name, _)| *name)
            .collect();
        self.fallen.retain(|(_, since)| !due(since));
        for name in up {
            if self.members.iter().all(|member| member.name != name) {
                self.start(plane, name).await?;
            }
        }
        Ok(told)
    }

    /// How many processes were started so far.
    pub(super) fn started(&self) -> usize {
        self.started
    }
}

/// `kill -SIGNAL pid`.
pub(super) async fn signal(pid: u32, signal: &str) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(pid.to_string());
    let done = kill.output().await.map_err(Error::io("run kill"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        program: format!("kill -{signal} {pid}"),
        status: done.status.to_string(),
        output: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
    })
}
