//! A Kubernetes control plane without nodes: etcd, the API server and the controllers that clean up.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::household::{Household, free_ports, random};
use crate::kubectl::Kubectl;
use crate::tools::{self, Tools};

mod credentials;
mod probe;
mod servers;

use credentials::Credentials;
use probe::Probe;
pub(crate) use probe::client_trusting;
use servers::Ports;

/// How long the servers may take to be ready. They need three seconds on a calm machine; 20 s were seen on a busy one.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(10);

/// How often the start is tried again when somebody else took a port between our looking and our listening.
const PORT_ATTEMPTS: u32 = 3;

/// A running control plane. It ends, and its folder goes, when this is dropped or the process ends in
/// whatever way.
///
/// RBAC is on; the audit log tells every request but no bodies. There are no nodes and no scheduler: a Pod
/// stays pending.
#[derive(Debug)]
pub struct ControlPlane {
    household: Mutex<Household>,
    url: String,
    admin_token: String,
    ca_pem: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    tools: Tools,
}

impl ControlPlane {
    /// Starts the servers on free ports and waits until the API server is ready. The programs are found or
    /// built by [`tools::control_plane`], which takes minutes the first time on a machine.
    ///
    /// # Errors
    /// Those of [`tools::control_plane`]; [`Error::Ended`] and [`Error::NotReady`], with the ends of the
    /// logs, when a server does not come up; [`Error::Io`].
    pub async fn start() -> Result<Self> {
        let tools = tools::control_plane().await?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&tools).await {
                Err(Error::Ended { tail, .. })
                    if attempt < PORT_ATTEMPTS && tail.contains("address already in use") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// The control plane that all tests of a process share: started by the first that asks, ended with the
    /// process.
    ///
    /// # Errors
    /// As [`ControlPlane::start`]; the next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start_once(tools: &Tools) -> Result<Self> {
        let mut household = Household::new()?;
        let ports = Ports::from(free_ports()?);
        let admin_token = random();
        Credentials::generate()?.write(&household, &admin_token)?;
        let url = format!("https://127.0.0.1:{}", ports.api);
        let deadline = Instant::now() + PATIENCE;

        household.start(servers::etcd(tools, household.folder(), &ports))?;
        let etcd = Probe::plain(format!("http://127.0.0.1:{}/health", ports.etcd))?;
        wait_for("etcd", &mut household, deadline, async || etcd.answers().await).await?;

        household.start(servers::api(tools, household.folder(), &ports))?;
        let ca_pem = certificate(&mut household, deadline).await?;
        let ready = Probe::trusting(&ca_pem, format!("{url}/readyz"), &admin_token)?;
        wait_for("kube-apiserver", &mut household, deadline, async || {
            ready.answers().await
        })
        .await?;

        let kubeconfig = household.write(
            "kubeconfig",
            &credentials::kubeconfig(&url, &ca_pem, "admin", &admin_token),
        )?;
        if let Some(controllers) = servers::controllers(tools, household.folder(), &ports) {
            household.start(controllers)?;
        } else {
            eprintln!(
                "devenv: no kube-controller-manager in $KUBEBUILDER_ASSETS: nothing collects garbage or ends namespaces"
            );
        }
        let audit_log = household.folder().join(servers::AUDIT_LOG);
        Ok(Self {
            household: Mutex::new(household),
            url,
            admin_token,
            ca_pem,
            kubeconfig,
            audit_log,
            tools: tools.clone(),
        })
    }

    /// The API server's address, `https://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A bearer token of `admin`, who is in `system:masters` and may do everything.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The certificates to trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The admin's kubeconfig file. It carries all it needs and names no other file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig for whoever this token belongs to, such as a service account's from `kubectl create
    /// token`.
    pub fn kubeconfig_for(&self, user: &str, token: &str) -> String {
        self.kubeconfig_by(&self.url, user, token)
    }

    /// The same for another way to the API server, such as a [`crate::wires::HttpWire`].
    pub fn kubeconfig_by(&self, url: &str, user: &str, token: &str) -> String {
        credentials::kubeconfig(url, &self.ca_pem, user, token)
    }

    /// The audit log, for [`crate::audit::read`].
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// kubectl as the admin.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl {
            path: self.tools.kubectl.clone(),
            kubeconfig: self.kubeconfig.clone(),
        }
    }

    /// The programs it runs.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Sees that all servers still run.
    ///
    /// # Errors
    /// [`Error::Ended`] for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.household
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .check()
    }
}

/// The API server makes its own certificate on its first start; the file is read once it is whole.
async fn certificate(household: &mut Household, deadline: Instant) -> Result<String> {
    let path = household.folder().join(servers::CERTIFICATE);
    let read = || {
        std::fs::read_to_string(&path)
            .ok()
            .filter(|pem| probe::roots(pem).is_ok())
    };
    wait_for("kube-apiserver", household, deadline, async || read().is_some()).await?;
    std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
}

async fn wait_for(
    what: &'static str,
    household: &mut Household,
    deadline: Instant,
    mut ready: impl AsyncFnMut() -> bool,
) -> Result<()> {
    while !ready().await {
        household.check()?;
        if Instant::now() > deadline {
            return Err(Error::NotReady {
                what,
                seconds: PATIENCE.as_secs(),
                tails: household.tails(),
            });
        }
        sleep(POLL).await;
    }
    Ok(())
}
