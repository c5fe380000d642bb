//! The servers of a soak, the wires between them and the operator, and the one connection.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::crew::{Crew, signal};
use super::plan::Plan;
use super::table::Table;
use crate::error::{Error, Result};
use crate::simulator::{Config, FleetConfig, Simulator};
use crate::wires::{Effects, HttpWire, PostgresWire};
use crate::{ControlPlane, NAMESPACE, Postgres, RIGHTS, Settings, tools};

/// The connection's name, and its Secret's.
pub(super) const NAME: &str = "soak";
const LOOK: Duration = Duration::from_millis(50);

/// All that is there beside the operators.
pub(super) struct Stage {
    pub(super) plane: ControlPlane,
    pub(super) tcs: Simulator,
    pub(super) cluster: Cluster,
    pub(super) table: Table,
    pub(super) cluster_wire: HttpWire,
    pub(super) database_wire: PostgresWire,
    /// The password that the vendor asks for is changed whenever the operator has stopped logging in.
    rotations: AtomicU32,
    // Ends with the soak.
    _postgres: Postgres,
}

impl Stage {
    /// Starts everything and the first operator, and waits until the connection works.
    pub(super) async fn set(plan: &Plan) -> Result<(Self, Crew)> {
        let settings = Settings {
            durable: false,
            // The log of changes stays small on disk, and a crash is recovered from at once.
            // What was committed outlives a crash of the server, if not of the machine.
            extra: vec![
                ("max_wal_size".into(), "512MB".into()),
                ("synchronous_commit".into(), "on".into()),
            ],
        };
        let (plane, postgres, helm) = tokio::try_join!(
            ControlPlane::start(),
            Postgres::start_with(&settings),
            tools::helm()
        )?;
        let database = postgres.create_database(NAME).await?;
        let effects = Arc::new(Effects::default());
        let cluster_wire = HttpWire::to_api_server(&plane, Arc::clone(&effects)).await?;
        let database_wire = PostgresWire::start(&database, effects).await?;
        let tcs = Simulator::start(config(plan))
            .await
            .map_err(Error::io("start the simulator"))?;
        install(&plane, &helm).await?;
        let mut crew = Crew::new(&plane, &cluster_wire, plan.program.clone(), plan.folder.clone()).await?;
        crew.start(&plane, "first").await?;
        let stage = Self {
            cluster: Cluster::of(&plane)?,
            table: Table::of(&database)?,
            plane,
            tcs,
            cluster_wire,
            database_wire,
            rotations: AtomicU32::new(0),
            _postgres: postgres,
        };
        stage.connect(plan).await?;
        Ok((stage, crew))
    }

    async fn connect(&self, plan: &Plan) -> Result<()> {
        let config = self.tcs.config();
        let secret = json!({"username": config.username, "password": config.password, "url": self.database_wire.url()});
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
        let connection = self.cluster.connection(NAME).await?.unwrap_or_default();
        Err(Error::Unexpected(format!(
            "the connection does not become ready: {}",
            connection["status"]
        )))
    }

    /// Waits until the connection is as a run wants it.
    pub(super) async fn is_ready_within(&self, patience: Duration) -> Result<bool> {
        let end = Instant::now() + patience;
        loop {
            let connection = self.cluster.connection(NAME).await?.unwrap_or_default();
            if condition(&connection, "Ready")["status"] == "True" {
                return Ok(true);
            }
            if Instant::now() > end {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
    }

    /// Another password, at the vendor's and in the Secret: the operator logs in again, whatever it remembers.
    pub(super) async fn rotate(&self) -> Result<()> {
        let nth = self.rotations.fetch_add(1, Ordering::Relaxed);
        let password = format!("correct horse {nth}");
        let username = self.tcs.config().username.clone();
        self.tcs.set_credentials(&username, &password);
        self.cluster.set_secret(NAME, json!({"password": password})).await
    }

    /// Kills a backend of the server: everybody is dropped, and the server recovers as after a crash.
    pub(super) async fn crash_database(&self) -> Result<()> {
        let pid = self.table.victim().await?;
        match u32::try_from(pid) {
            Ok(pid) => signal(pid, "KILL").await,
            Err(_) => Err(Error::Unexpected(format!("a backend of pid {pid}"))),
        }
    }
}

/// A condition of an object; null where it has none of that type.
pub(super) fn condition<'a>(object: &'a Value, wanted: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|condition| condition["type"] == wanted))
        .unwrap_or(&Value::Null)
}

fn config(plan: &Plan) -> Config {
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

/// The kinds, and the operator's rights as the chart has them.
async fn install(plane: &ControlPlane, helm: &Path) -> Result<()> {
    let root = root();
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
        .args(RIGHTS.split_whitespace().skip(1))
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
