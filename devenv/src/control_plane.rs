//! A Kubernetes control plane without nodes: etcd, the API server and the controllers that clean up.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::kubectl::Kubectl;
use crate::ports::free_ports;
use crate::process_group::{ProcessGroup, random_hex};
use crate::tools::{self, Tools};

mod commands;
mod credentials;
mod probe;

use commands::Ports;
use credentials::Credentials;
use probe::Probe;
pub(crate) use probe::client_trusting;

/// How long the servers may take to become ready: 3 s on an idle machine, up to 20 s on a busy one.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How often the start is attempted when another process takes one of the free ports first.
const START_ATTEMPTS: u32 = 3;

/// A running control plane. Servers and folder are removed when this is dropped, and also however this process ends.
///
/// RBAC is on. The audit log records every request without its body. There are no nodes and no scheduler: Pods stay pending.
#[derive(Debug)]
pub struct ControlPlane {
    group: Mutex<ProcessGroup>,
    url: String,
    admin_token: String,
    ca_pem: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    tools: Tools,
}

impl ControlPlane {
    /// Starts the servers on free ports and waits until the API server is ready. [`tools::control_plane`] finds or builds the
    /// programs, which takes minutes the first time on a machine.
    ///
    /// # Errors
    /// Those of [`tools::control_plane`]; [`Error::Ended`] or [`Error::NotReady`], with the ends of the logs, when a server does
    /// not become ready; [`Error::Io`].
    pub async fn start() -> Result<Self> {
        let tools = tools::control_plane().await?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&tools).await {
                Err(Error::Ended { tail, .. })
                    if attempt < START_ATTEMPTS && tail.contains("address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// The control plane that all tests of a process share. The first caller starts it; it is removed with the process.
    ///
    /// # Errors
    /// As [`ControlPlane::start`]. The next caller retries.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start_once(tools: &Tools) -> Result<Self> {
        let mut group = ProcessGroup::new()?;
        let ports = Ports::from(free_ports()?);
        let admin_token = random_hex();
        Credentials::generate()?.write(&group, &admin_token)?;
        let url = format!("https://127.0.0.1:{}", ports.api);
        let deadline = Instant::now() + READY_TIMEOUT;

        group.start(commands::etcd(tools, group.folder(), &ports))?;
        let etcd = Probe::plain(format!("http://127.0.0.1:{}/health", ports.etcd))?;
        wait_until_ready("etcd", &mut group, deadline, async || etcd.is_ready().await).await?;

        group.start(commands::api(tools, group.folder(), &ports))?;
        let ca_pem = wait_for_certificate(&mut group, deadline).await?;
        let ready = Probe::trusting(&ca_pem, format!("{url}/readyz"), &admin_token)?;
        wait_until_ready("kube-apiserver", &mut group, deadline, async || {
            ready.is_ready().await
        })
        .await?;

        let kubeconfig = group.write_file(
            "kubeconfig",
            &credentials::kubeconfig(&url, &ca_pem, "admin", &admin_token),
        )?;
        if let Some(controllers) = commands::controllers(tools, group.folder(), &ports) {
            group.start(controllers)?;
        } else {
            eprintln!(
                "devenv: no kube-controller-manager in $KUBEBUILDER_ASSETS: no garbage collection, no namespace deletion"
            );
        }
        let audit_log = group.folder().join(commands::AUDIT_LOG);
        Ok(Self {
            group: Mutex::new(group),
            url,
            admin_token,
            ca_pem,
            kubeconfig,
            audit_log,
            tools: tools.clone(),
        })
    }

    /// The API server's URL, `https://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A bearer token of the user `admin` in `system:masters`.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The CA certificates, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The admin's kubeconfig file. It is self-contained.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig for the user of this token, such as a service account's from `kubectl create token`.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> String {
        self.kubeconfig_for_url(&self.url, user, token)
    }

    /// Like [`Self::kubeconfig_for`], for another URL of the API server, such as a [`crate::proxy::HttpProxy`]'s.
    pub fn kubeconfig_for_url(&self, url: &str, user: &str, token: &str) -> String {
        credentials::kubeconfig(url, &self.ca_pem, user, token)
    }

    /// The audit log; [`crate::audit::read`] parses it.
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// kubectl with the admin's kubeconfig.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl {
            path: self.tools.kubectl.clone(),
            kubeconfig: self.kubeconfig.clone(),
        }
    }

    /// The programs of this control plane.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Checks that all servers are running.
    ///
    /// # Errors
    /// [`Error::Ended`] for the first one that has exited.
    pub fn check_running(&self) -> Result<()> {
        self.group
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .check_running()
    }
}

/// Waits until the API server has written its self-signed certificate completely, and reads it.
async fn wait_for_certificate(group: &mut ProcessGroup, deadline: Instant) -> Result<String> {
    let path = group.folder().join(commands::CERTIFICATE);
    let read_complete = || {
        std::fs::read_to_string(&path)
            .ok()
            .filter(|pem| probe::parse_roots(pem).is_ok())
    };
    wait_until_ready("kube-apiserver", group, deadline, async || {
        read_complete().is_some()
    })
    .await?;
    std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
}

async fn wait_until_ready(
    what: &'static str,
    group: &mut ProcessGroup,
    deadline: Instant,
    mut is_ready: impl AsyncFnMut() -> bool,
) -> Result<()> {
    while !is_ready().await {
        group.check_running()?;
        if Instant::now() > deadline {
            return Err(Error::NotReady {
                what,
                seconds: READY_TIMEOUT.as_secs(),
                tails: group.log_tails(),
            });
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
