//! Starts the servers, the proxies between them and the operator, and creates the connection.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::api_client::ApiClient;
use super::database::Database;
use super::operators::{Operators, send_signal};
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::proxy::{HttpProxy, Interceptor, PostgresProxy};
use crate::simulator::{Config, FleetConfig, Simulator};
use crate::{ControlPlane, FakeClock, NAMESPACE, Postgres, PostgresSettings, RENDER_RBAC_COMMAND, tools};

/// The name of the connection and of its Secret.
pub(super) const NAME: &str = "soak";
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Everything but the operators.
pub(super) struct Testbed {
    pub(super) plane: ControlPlane,
    pub(super) tcs: Simulator,
    pub(super) api: ApiClient,
    pub(super) database: Database,
    pub(super) api_server_proxy: HttpProxy,
    pub(super) database_proxy: PostgresProxy,
    /// The clock of the operators.
    pub(super) clock: FakeClock,
    /// The number of password changes so far.
    rotations: AtomicU32,
    // Kept running for the lifetime of the testbed.
    _postgres: Postgres,
}

impl Testbed {
    /// Starts all servers and the first operator, and waits until the connection is ready.
    pub(super) async fn start(plan: &Plan) -> Result<(Self, Operators)> {
        let settings = PostgresSettings {
            durable: false,
            // A small WAL keeps crash recovery short. With synchronous_commit, commits survive a crash of the server
            // (not of the machine).
            extra: vec![
                ("max_wal_size".into(), "512MB".into()),
                ("synchronous_commit".into(), "on".into()),
            ],
        };
        let (plane, postgres, helm, clock) = tokio::try_join!(
            ControlPlane::start(),
            Postgres::start_with(&settings),
            tools::helm(),
            FakeClock::new(&plan.folder)
        )?;
        let database = postgres.create_database(NAME).await?;
        let interceptor = Arc::new(Interceptor::default());
        let api_server_proxy = HttpProxy::to_api_server(&plane, Arc::clone(&interceptor)).await?;
        let database_proxy = PostgresProxy::start(&database, interceptor).await?;
        let tcs = Simulator::start(simulator_config(plan))
            .await
            .map_err(Error::io("start the simulator"))?;
        install_operator_rbac(&plane, &helm).await?;
        let mut operators = Operators::new(
            &plane,
            &api_server_proxy,
            plan.program.clone(),
            plan.folder.clone(),
            clock.clone(),
        )
        .await?;
        operators.start(&plane, "first").await?;
        let testbed = Self {
            api: ApiClient::new(&plane)?,
            database: Database::new(&database)?,
            plane,
            tcs,
            api_server_proxy,
            database_proxy,
            clock,
            rotations: AtomicU32::new(0),
            _postgres: postgres,
        };
        testbed.create_connection(plan).await?;
        Ok((testbed, operators))
    }

    async fn create_connection(&self, plan: &Plan) -> Result<()> {
        let config = self.tcs.config();
        let secret = json!({"username": config.username, "password": config.password, "url": self.database_proxy.url()});
        let api = json!({"url": self.tcs.url(), "listing": "RegionSearch", "requestsPerSecond": 1000,
            "requestTimeoutSeconds": plan.pace.timeout, "credentialsSecretRef": {"name": NAME}});
        let items = json!([
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": "default"}, "stringData": secret},
            {"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": NAME, "namespace": "default"},
             "spec": {"api": api, "database": {"secretRef": {"name": NAME}}}},
        ]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        self.plane.kubectl().apply(&list.to_string()).await?;
        if self.is_ready_within(Duration::from_mins(1)).await? {
            return Ok(());
        }
        let connection = self.api.get_connection(NAME).await?.unwrap_or_default();
        Err(Error::Unexpected(format!(
            "the connection did not become ready: {}",
            connection["status"]
        )))
    }

    /// Waits until the connection is ready. Returns false after the timeout.
    pub(super) async fn is_ready_within(&self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        loop {
            let connection = self.api.get_connection(NAME).await?.unwrap_or_default();
            if condition(&connection, "Ready")["status"] == "True" {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Changes the password at the vendor and in the Secret, which makes the operator log in again.
    pub(super) async fn rotate_password(&self) -> Result<()> {
        let nth = self.rotations.fetch_add(1, Ordering::Relaxed);
        let password = format!("correct horse {nth}");
        let username = self.tcs.config().username.clone();
        self.tcs.set_credentials(&username, &password);
        self.api.patch_secret(NAME, json!({"password": password})).await
    }

    /// Kills a PostgreSQL backend: the server drops all connections and goes through crash recovery.
    pub(super) async fn crash_database(&self) -> Result<()> {
        let pid = self.database.backend_pid().await?;
        match u32::try_from(pid) {
            Ok(pid) => send_signal(pid, "KILL").await,
            Err(_) => Err(Error::Unexpected(format!("invalid backend pid {pid}"))),
        }
    }
}

/// A condition of an object; null when the object has none of that type.
pub(super) fn condition<'a>(object: &'a Value, wanted: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|condition| condition["type"] == wanted))
        .unwrap_or(&Value::Null)
}

fn simulator_config(plan: &Plan) -> Config {
    let fleet = FleetConfig {
        base_nodes: plan.devices,
        remote_nodes: 0,
        ..FleetConfig::default()
    };
    Config {
        seed: plan.seed,
        fleet,
        ..Config::default()
    }
}

/// Installs the CRDs and the operator's RBAC rules from the chart.
async fn install_operator_rbac(plane: &ControlPlane, helm: &Path) -> Result<()> {
    let root = repository_root();
    let crds = root.join("crds").display().to_string();
    let kubectl = plane.kubectl();
    kubectl.run(&["apply", "--server-side", "-f", &crds]).await?;
    kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "-f",
            &crds,
        ])
        .await?;
    kubectl.run(&["create", "namespace", NAMESPACE]).await?;
    let mut render = Command::new(helm);
    render
        .args(RENDER_RBAC_COMMAND.split_whitespace().skip(1))
        .current_dir(&root)
        .stdin(Stdio::null());
    let rendered = render.output().await.map_err(Error::io("run helm"))?;
    if !rendered.status.success() {
        return Err(Error::Command {
            program: "helm template".into(),
            status: rendered.status.to_string(),
            output: String::from_utf8_lossy(&rendered.stderr).into_owned(),
        });
    }
    kubectl.apply(&String::from_utf8_lossy(&rendered.stdout)).await?;
    Ok(())
}

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
