//! The control plane, PostgreSQL, and the operator as a process.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devenv::simulator::Simulator;
use devenv::{ControlPlane, Operator, Postgres, audit, tools};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, TaranaSync, TaranaSyncStatus};

use crate::Result;

/// Concurrent requests of the bench.
pub const CONCURRENCY: usize = 16;

/// All servers but the simulator.
pub struct Servers<'a> {
    plane: ControlPlane,
    pub postgres: &'a Postgres,
    pub operator: Operator,
}

/// A run that has ended.
pub struct FinishedRun {
    /// The time from the creation of the object to its end.
    pub took: Duration,
    pub status: TaranaSyncStatus,
}

impl FinishedRun {
    /// The seconds of a completed run.
    pub fn seconds(&self) -> Result<f64> {
        match self.status.phase {
            Phase::Completed => Ok(self.took.as_secs_f64()),
            phase => Err(format!("a run ended as {phase:?}: {:?}", self.status.last_failure).into()),
        }
    }
}

impl<'a> Servers<'a> {
    pub async fn start(postgres: &'a Postgres) -> Result<Self> {
        Self::start_after(postgres, async |_| Ok(())).await
    }

    /// Starts the operator after `prepare`.
    pub async fn start_after(
        postgres: &'a Postgres,
        prepare: impl AsyncFnOnce(kube::Client) -> Result<()>,
    ) -> Result<Self> {
        Self::start_with(postgres, &[], prepare).await
    }

    /// The same with additional environment variables.
    pub async fn start_with(
        postgres: &'a Postgres,
        variables: &[(&str, &str)],
        prepare: impl AsyncFnOnce(kube::Client) -> Result<()>,
    ) -> Result<Self> {
        let (plane, helm) = tokio::try_join!(ControlPlane::start(), tools::helm())?;
        let kubectl = plane.kubectl();
        let crds = format!("{}/crds", env!("CARGO_MANIFEST_DIR"));
        kubectl.run(&["apply", "--server-side", "-f", &crds]).await?;
        kubectl
            .run(&["wait", "--for=condition=Established", "-f", &crds])
            .await?;
        kubectl.run(&["create", "namespace", devenv::NAMESPACE]).await?;
        kubectl.apply(&render_rbac(&helm)?).await?;
        let version = kubectl.run(&["version", "-o", "json"]).await?;
        let version: Value = serde_json::from_str(&version)?;
        println!(
            "Kubernetes  {}",
            version["serverVersion"]["gitVersion"].as_str().unwrap_or("?")
        );
        prepare(client(&plane).await?).await?;
        let program = program()?;
        let log = program.with_file_name("bench-operator.log");
        // Frequent probes, to show that they write nothing.
        let own = [("TARANA_LEADER_ELECT", "false"), ("TARANA_RESYNC_SECONDS", "10")];
        let variables = [&own[..], variables].concat();
        let operator = Operator::start(&program, &plane, &log, &variables).await?;
        Ok(Self {
            plane,
            postgres,
            operator,
        })
    }

    /// Creates a connection to this simulator and a new database, and waits until it is ready. Returns the URL of the
    /// database.
    pub async fn connect(&self, name: &str, tcs: &Simulator, page_size: u32) -> Result<String> {
        let database = self.postgres.create_database(name).await?;
        let config = tcs.config();
        let items = json!([
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
             "stringData": {"username": config.username, "password": config.password, "url": database}},
            {"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": name, "namespace": "default"},
             "spec": {"api": {"url": tcs.url(), "requestsPerSecond": 1000, "pageSize": page_size, "credentialsSecretRef": {"name": name}},
                      "database": {"secretRef": {"name": name}}}},
        ]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let kubectl = self.plane.kubectl();
        kubectl.apply(&list.to_string()).await?;
        let connection = format!("tconn/{name}");
        kubectl
            .run(&["wait", &connection, "--for=condition=Ready", "--timeout=60s"])
            .await?;
        Ok(database)
    }

    /// Executes a run of the connection with this spec and measures it with a watch.
    pub async fn run(&self, connection: &str, name: &str, mut spec: Value) -> Result<FinishedRun> {
        let api: kube::Api<TaranaSync> = kube::Api::namespaced(self.client().await?, "default");
        spec["connectionRef"] = json!({"name": connection});
        let object = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": name}, "spec": spec});
        let begin = Instant::now();
        api.create(
            &kube::api::PostParams::default(),
            &serde_json::from_value(object)?,
        )
        .await?;
        let ended = |s: Option<&TaranaSync>| {
            s.and_then(|s| s.status.as_ref())
                .is_some_and(|s| s.phase.is_final())
        };
        let end = kube::runtime::wait::await_condition(api, name, ended).await?;
        let took = begin.elapsed();
        let status = end.and_then(|s| s.status).ok_or("the run is gone")?;
        Ok(FinishedRun { took, status })
    }

    /// Creates a service account with the role `edit`. Returns a token for the admin API.
    pub async fn user_token(&self, name: &str) -> Result<String> {
        let kubectl = self.plane.kubectl();
        let account = format!("--serviceaccount=default:{name}");
        kubectl.run(&["create", "serviceaccount", name]).await?;
        kubectl
            .run(&["create", "rolebinding", name, "--clusterrole=edit", &account])
            .await?;
        let token = kubectl
            .run(&["create", "token", name, "--audience", "tarana-operator"])
            .await?;
        Ok(token.trim().to_owned())
    }

    /// The operator's writes to the API server so far.
    pub fn writes(&self) -> Result<usize> {
        self.count(audit::Entry::is_write)
    }

    /// The operator's requests on behalf of callers of the admin API so far: reviews, and creations of runs.
    pub fn requests(&self) -> Result<usize> {
        self.count(|entry| {
            let resource = entry.object_ref.resource.as_str();
            entry.verb == "create"
                && ["tokenreviews", "subjectaccessreviews", "taranasyncs"].contains(&resource)
        })
    }

    fn count(&self, is_counted: impl Fn(&audit::Entry) -> bool) -> Result<usize> {
        let account = format!(
            "system:serviceaccount:{}:{}",
            devenv::NAMESPACE,
            devenv::SERVICE_ACCOUNT
        );
        let entries = audit::read(self.plane.audit_log())?;
        Ok(entries
            .iter()
            .filter(|e| e.user.username == account && is_counted(e))
            .count())
    }

    /// A client with admin rights.
    pub async fn client(&self) -> Result<kube::Client> {
        client(&self.plane).await
    }
}

/// Creates objects in the namespace `default`.
pub async fn create_all<K>(client: &kube::Client, objects: impl IntoIterator<Item = Value>) -> Result<Vec<K>>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + DeserializeOwned
        + Serialize
        + Clone
        + Debug,
{
    let api: kube::Api<K> = kube::Api::namespaced(client.clone(), "default");
    let created = stream::iter(objects).map(async |object| {
        let object = serde_json::from_value(object)?;
        Ok::<_, Box<dyn std::error::Error>>(api.create(&kube::api::PostParams::default(), &object).await?)
    });
    created.buffer_unordered(CONCURRENCY).try_collect().await
}

async fn client(plane: &ControlPlane) -> Result<kube::Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(plane.kubeconfig())?;
    let options = kube::config::KubeConfigOptions::default();
    Ok(kube::Client::try_from(
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?,
    )?)
}

/// Renders the operator's RBAC from the chart, with that of browser sessions.
fn render_rbac(helm: &Path) -> Result<String> {
    let arguments: Vec<&str> = devenv::RENDER_RBAC_COMMAND.split_whitespace().skip(1).collect();
    let rendered = std::process::Command::new(helm)
        .args(arguments)
        .args(["--set", "admin.sessions.secretName=sessions"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !rendered.status.success() {
        return Err(String::from_utf8_lossy(&rendered.stderr).into());
    }
    Ok(String::from_utf8(rendered.stdout)?)
}

/// The operator of the variable `OPERATOR`, or the release build, which `make bench` creates.
#[expect(clippy::disallowed_methods, reason = "the bench has no flags")]
fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OPERATOR") {
        return Ok(path.into());
    }
    target_folder()?
        .map(|dir| dir.join("release/tarana-operator"))
        .filter(|p| p.is_file())
        .ok_or_else(|| "no release build of tarana-operator: use `make bench`".into())
}

/// Cargo's target folder.
pub fn target_folder() -> Result<Option<PathBuf>> {
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(3).map(Path::to_owned))
}
