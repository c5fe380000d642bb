//! The environment of one test: a namespace, a database, a TCS simulator and an operator, on servers that all tests share.
//! If the test panics, the environment prints its objects, Events and log rows.

use std::path::PathBuf;
use std::time::Duration;

use devenv::ControlPlane;
use devenv::simulator::{self, Simulator};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};
use tarana_operator::cluster::{Cluster, WatchSelector};
use tarana_operator::metrics::Metrics;
use tarana_operator::operator::{self, Config};
use tarana_operator::store::Retention;
use tarana_operator::webhook::AddressPolicy;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::operator_rights::Access;
use super::servers;

/// How long a test waits for a state. Generous, because the machine may be slow and busy.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The environment of one test.
pub struct TestEnvironment {
    /// Of the test, with admin rights.
    pub client: Client,
    /// Of operators in this process, with the rights of the chart's service account.
    pub cluster: Cluster,
    /// Of operator processes, with the same rights.
    pub kubeconfig: PathBuf,
    pub namespace: String,
    pub database_url: String,
    pub db: PgPool,
    pub tcs: Simulator,
    /// Whether operators may migrate.
    pub migrate: bool,
    /// `--database-connections` and `--max-concurrent-syncs` of operators.
    pub limits: (u32, u16),
    /// `--watch-selector` of operators in this process.
    pub selector: WatchSelector,
    operator: Option<Running>,
}

/// An operator in this process.
struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), operator::Error>>,
}

impl TestEnvironment {
    /// With the default fleet, a connection `default`, and an operator.
    pub async fn new() -> Self {
        Self::with(servers::tcs()).await
    }

    /// The same with another simulator configuration.
    pub async fn with(config: simulator::Config) -> Self {
        let mut env = Self::bare(config).await;
        env.start_operator();
        env.create_secrets_and_connection().await;
        env
    }

    /// Without a connection and an operator.
    pub async fn bare(config: simulator::Config) -> Self {
        let namespace = format!("t-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let database_url = servers::database(&namespace.replace('-', "_")).await;
        Self::create(config, Access::shared().await, namespace, database_url).await
    }

    /// The same with an existing database.
    pub async fn with_database(config: simulator::Config, database_url: &str) -> Self {
        let namespace = format!("t-{}", &Uuid::new_v4().simple().to_string()[..12]);
        Self::create(config, Access::shared().await, namespace, database_url.to_owned()).await
    }

    /// The same on another control plane, which may lack the CRDs.
    pub async fn on(plane: &ControlPlane) -> Self {
        let namespace = format!("t-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let database_url = servers::database(&namespace.replace('-', "_")).await;
        Self::create(
            servers::tcs(),
            Access::install(plane).await,
            namespace,
            database_url,
        )
        .await
    }

    /// With this access, this namespace, which is created, and this database.
    pub(crate) async fn create(
        config: simulator::Config,
        access: Access,
        namespace: String,
        database_url: String,
    ) -> Self {
        let client = access.admin.clone();
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        access.grant_release_rights(&namespace).await;
        let db = sqlx::postgres::PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy(&database_url)
            .unwrap();
        let tcs = Simulator::start(config).await.unwrap();
        Self {
            client,
            cluster: access.operators,
            kubeconfig: access.kubeconfig,
            namespace,
            database_url,
            db,
            tcs,
            migrate: true,
            limits: (8, 16),
            selector: WatchSelector::default(),
            operator: None,
        }
    }

    pub fn start_operator(&mut self) {
        self.start_operator_with_probe_interval(Duration::from_mins(10));
    }

    pub fn start_operator_with_probe_interval(&mut self, probe_interval: Duration) {
        self.spawn_operator(probe_interval, None);
    }

    /// The same, serving the admin API.
    pub fn start_operator_with_admin(&mut self, admin: tarana_operator::admin::Config) {
        self.spawn_operator(Duration::from_mins(10), Some(admin));
    }

    fn spawn_operator(&mut self, probe_interval: Duration, admin: Option<tarana_operator::admin::Config>) {
        let (stop, stopped) = watch::channel(false);
        let config = Config {
            // Named twice, it is watched once.
            namespaces: vec![self.namespace.clone(); 2],
            selector: self.selector.clone(),
            identity: format!("test-{}", self.namespace),
            election: None,
            migrate: self.migrate,
            probe_interval,
            database_connections: self.limits.0,
            max_concurrent_syncs: self.limits.1,
            sink_addresses: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            retention: Retention::default(),
            admin,
            metrics_listen: None,
            metrics: Metrics::default(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(operator::run_until(self.cluster.clone(), config, stopped));
        self.operator = Some(Running { stop, tasks });
    }

    /// Stops the operator gracefully, like SIGTERM, and waits for its end.
    pub async fn stop_operator(&mut self) {
        let mut running = self.operator.take().expect("a running operator");
        running.stop.send(true).unwrap();
        running.tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Aborts the operator, like SIGKILL.
    pub async fn kill_operator(&mut self) {
        let mut running = self.operator.take().expect("a running operator");
        running.tasks.shutdown().await;
    }

    pub async fn create_secrets_and_connection(&self) {
        self.secret(
            "tcs",
            &json!({"username": servers::USERNAME, "password": servers::PASSWORD}),
        )
        .await;
        self.secret("database", &json!({"url": self.database_url})).await;
        self.connection("default", json!({})).await;
    }

    /// Creates or replaces a Secret.
    pub async fn secret(&self, name: &str, data: &Value) {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&secret))
            .await
            .unwrap();
    }

    /// Creates a connection to the servers of this environment. `changes` are merged into its spec.
    pub async fn connection(&self, name: &str, changes: Value) {
        let mut spec = json!({
            "api": {"url": self.tcs.url(), "requestsPerSecond": 1000, "credentialsSecretRef": {"name": "tcs"}},
            "database": {"secretRef": {"name": "database"}},
        });
        servers::merge(&mut spec, changes);
        let object = serde_json::from_value(
            json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection",
            "metadata": {"name": name}, "spec": spec}),
        )
        .unwrap();
        self.connections()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// Merges `changes` into the spec of a connection.
    pub async fn change_connection(&self, name: &str, changes: Value) {
        let patch = Patch::Merge(json!({ "spec": changes }));
        self.connections()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub fn connections(&self) -> Api<TaranaConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn delete_connection(&self, name: &str) {
        let deleted = self.connections().delete(name, &DeleteParams::default()).await;
        deleted.unwrap();
    }

    pub fn syncs(&self) -> Api<TaranaSync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a run.
    pub async fn sync(&self, name: &str, spec: Value) -> TaranaSync {
        let object =
            serde_json::from_value(json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": name}, "spec": spec}))
            .unwrap();
        self.syncs()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    /// Creates a run and waits until it has ended.
    pub async fn run(&self, name: &str, spec: Value) -> TaranaSync {
        self.sync(name, spec).await;
        self.finished(name).await
    }

    /// Waits until the run has ended and its finalizer is removed.
    pub async fn finished(&self, name: &str) -> TaranaSync {
        self.wait_for_sync(name, "has ended", |s| {
            phase(s).is_final() && s.finalizers().is_empty()
        })
        .await
    }

    pub async fn wait_for_sync(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&TaranaSync) -> bool,
    ) -> TaranaSync {
        wait_until(&format!("TaranaSync {name} {what}"), || async {
            self.syncs().get_opt(name).await.unwrap().filter(&condition)
        })
        .await
    }

    pub async fn wait_for_connection(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&TaranaConnection) -> bool,
    ) -> TaranaConnection {
        wait_until(&format!("TaranaConnection {name} {what}"), || async {
            self.connections().get_opt(name).await.unwrap().filter(&condition)
        })
        .await
    }

    /// Waits until the connection `default` is ready.
    pub async fn ready(&self) {
        self.wait_for_connection("default", "is ready", |c| {
            self::condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
        })
        .await;
    }

    pub async fn cancel(&self, name: &str) {
        let patch = Patch::Merge(json!({"spec": {"cancel": true}}));
        self.syncs()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.syncs().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The reasons of the Events about an object, oldest first.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|e| e.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name));
        events.sort_by_key(|e| e.event_time.as_ref().map(|t| t.0));
        events.into_iter().filter_map(|e| e.reason).collect()
    }

    /// The log row of a run, as JSON.
    pub async fn log_row(&self, sync: &TaranaSync) -> Value {
        let id = id_of(sync);
        self.json("select to_jsonb(l) from tarana_sync_logs l where id = $1", id)
            .await
    }

    /// The JSON value that a query returns for a run's id.
    pub async fn json(&self, sql: &'static str, id: Uuid) -> Value {
        sqlx::query_scalar(sql)
            .bind(id)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// The number that a query returns.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    /// The stations table as text.
    pub async fn table(&self) -> String {
        sqlx::query_scalar(
            "select coalesce(string_agg(to_jsonb(t)::text, E'\\n' order by serial_number), '') from tarana_base_stations t",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// Locks the stations table against writers until the returned connection is dropped.
    pub async fn lock_table(&self) -> PgConnection {
        let mut lock = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql("begin; lock table tarana_base_stations in share row exclusive mode")
            .execute(&mut lock)
            .await
            .unwrap();
        lock
    }

    async fn diagnose(&self) -> String {
        let yaml = |v: Value| serde_json::to_string_pretty(&v).unwrap_or_default();
        let params = ListParams::default();
        let syncs = self
            .syncs()
            .list(&params)
            .await
            .map(|l| l.items)
            .unwrap_or_default();
        let connections = self
            .connections()
            .list(&params)
            .await
            .map(|l| l.items)
            .unwrap_or_default();
        let rows: Vec<Value> =
            sqlx::query_scalar(
            "select to_jsonb(l) - 'errors' || jsonb_build_object('errors', jsonb_array_length(errors)) from tarana_sync_logs l order by created_at",
        )
                .fetch_all(&self.db)
                .await
                .unwrap_or_default();
        let mut lines = vec![format!("--- test environment {} ---", self.namespace)];
        for c in &connections {
            lines.push(format!(
                "TaranaConnection {}: {}",
                c.name_any(),
                yaml(json!(c.status))
            ));
        }
        for s in &syncs {
            let (name, events) = (s.name_any(), self.events(&s.name_any()).await);
            lines.push(format!(
                "TaranaSync {name}: {}\n{events:?}",
                yaml(json!(s.status))
            ));
        }
        lines.extend(rows.into_iter().map(|row| format!("log row: {}", yaml(row))));
        lines.join("\n")
    }
}

impl Drop for TestEnvironment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let diagnostics = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current()
                    .block_on(async { tokio::time::timeout(Duration::from_secs(10), self.diagnose()).await })
            });
            eprintln!(
                "{}",
                diagnostics.unwrap_or_else(|_| "no diagnostics within 10 s".to_owned())
            );
        }
    }
}

/// Pause after the first poll, and the longest one. Polling costs the servers, and so the other tests, processor time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(120);

/// Polls until there is a value, with growing pauses. Panics after [`PATIENCE`] with a description of the awaited state.
pub async fn wait_until<T, F, Fut>(what: &str, poll: F) -> T
where
    F: Fn() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let polling = async {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(value) = poll().await {
                return value;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    };
    tokio::time::timeout(PATIENCE, polling)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// The run's id in SQL and Kubernetes.
pub fn id_of(sync: &TaranaSync) -> Uuid {
    sync.uid().unwrap().parse().unwrap()
}

pub fn phase(sync: &TaranaSync) -> Phase {
    sync.status.as_ref().map(|s| s.phase).unwrap_or_default()
}

pub fn step(sync: &TaranaSync) -> Option<Step> {
    sync.status.as_ref()?.step
}

/// Status, reason and message of a condition; empty if it is absent.
pub fn condition(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    type_: &str,
) -> (String, String, String) {
    conditions
        .iter()
        .find(|c| c.type_ == type_)
        .map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
        .unwrap_or_default()
}

/// The same of a condition of a run.
pub fn of(sync: &TaranaSync, type_: &str) -> (String, String, String) {
    condition(&sync.status.clone().unwrap_or_default().conditions, type_)
}
