//! A world of its own for each test: a namespace, a database, a simulation of TCS and an operator, on servers that
//! all tests share. What a test leaves broken is told: on a panic the world prints its objects, Events and log rows.

use std::time::Duration;

use devenv::simulator::{self, Simulator};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgPool};
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, Step, TaranaSync};
use tarana_operator::cluster::Cluster;
use tarana_operator::operator::{self, Config};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::servers;

/// How long anything may take before the test gives up. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// One test's world.
pub struct World {
    pub client: Client,
    cluster: Cluster,
    pub namespace: String,
    pub database_url: String,
    pub db: PgPool,
    pub tcs: Simulator,
    /// Whether its operators may migrate.
    pub migrate: bool,
    operator: Option<Running>,
}

/// An operator that runs in this process.
struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), operator::Error>>,
}

impl World {
    /// A world with the fleet of the default simulator, a connection `default`, and an operator.
    pub async fn new() -> Self {
        Self::with(servers::tcs()).await
    }

    /// The same with another fleet.
    pub async fn with(config: simulator::Config) -> Self {
        let mut world = Self::bare(config).await;
        world.start_operator();
        world.secrets_and_connection().await;
        world
    }

    /// No connection and no operator yet.
    pub async fn bare(config: simulator::Config) -> Self {
        let namespace = format!("t-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let database_url = servers::database(&namespace.replace('-', "_")).await;
        Self::around(config, namespace, database_url).await
    }

    /// The same around a database that somebody else made.
    pub async fn with_database(config: simulator::Config, database_url: &str) -> Self {
        let namespace = format!("t-{}", &Uuid::new_v4().simple().to_string()[..12]);
        Self::around(config, namespace, database_url.to_owned()).await
    }

    async fn around(config: simulator::Config, namespace: String, database_url: String) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = servers::cluster().await;
        let client = cluster.calls.clone();
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        let db = sqlx::postgres::PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy(&database_url)
            .unwrap();
        let tcs = Simulator::start(config).await.unwrap();
        Self {
            client,
            cluster,
            namespace,
            database_url,
            db,
            tcs,
            migrate: true,
            operator: None,
        }
    }

    pub fn start_operator(&mut self) {
        self.start_operator_that_rechecks_every(Duration::from_mins(10));
    }

    pub fn start_operator_that_rechecks_every(&mut self, recheck_every: Duration) {
        self.start_operator_as(recheck_every, None);
    }

    /// One that serves the admin API.
    pub fn start_operator_with_admin(&mut self, admin: tarana_operator::admin::Config) {
        self.start_operator_as(Duration::from_mins(10), Some(admin));
    }

    fn start_operator_as(&mut self, recheck_every: Duration, admin: Option<tarana_operator::admin::Config>) {
        let (stop, stopped) = watch::channel(false);
        let config = Config {
            namespaces: vec![self.namespace.clone()],
            identity: format!("test-{}", self.namespace),
            election: None,
            migrate: self.migrate,
            recheck_every,
            admin,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(operator::run_until(self.cluster.clone(), config, stopped));
        self.operator = Some(Running { stop, tasks });
    }

    /// Stops the operator as SIGTERM does, and waits for its end.
    pub async fn stop_operator(&mut self) {
        let mut running = self.operator.take().expect("an operator that runs");
        running.stop.send(true).unwrap();
        running.tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Drops the operator where it stands, as SIGKILL does.
    pub async fn kill_operator(&mut self) {
        let mut running = self.operator.take().expect("an operator that runs");
        running.tasks.shutdown().await;
    }

    pub async fn secrets_and_connection(&self) {
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

    /// A connection to this world's servers, with some fields of its spec changed (merged).
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

    /// Creates a run and waits for its end.
    pub async fn run(&self, name: &str, spec: Value) -> TaranaSync {
        self.sync(name, spec).await;
        self.finished(name).await
    }

    /// Waits until the run has ended and let go of its finalizer.
    pub async fn finished(&self, name: &str) -> TaranaSync {
        self.sync_when(name, "has ended", |s| {
            phase(s).is_final() && s.finalizers().is_empty()
        })
        .await
    }

    pub async fn sync_when(&self, name: &str, what: &str, is_so: impl Fn(&TaranaSync) -> bool) -> TaranaSync {
        until(&format!("TaranaSync {name} {what}"), || async {
            self.syncs().get_opt(name).await.unwrap().filter(&is_so)
        })
        .await
    }

    pub async fn connection_when(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&TaranaConnection) -> bool,
    ) -> TaranaConnection {
        until(&format!("TaranaConnection {name} {what}"), || async {
            self.connections().get_opt(name).await.unwrap().filter(&is_so)
        })
        .await
    }

    /// Waits until the connection `default` works.
    pub async fn ready(&self) {
        self.connection_when("default", "is ready", |c| {
            condition(&c.status.clone().unwrap_or_default().conditions, "Ready").0 == "True"
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

    /// Reasons of the Events about one object, in the order in which they were published.
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

    /// One JSON value of a query with the run's id.
    pub async fn json(&self, sql: &'static str, id: Uuid) -> Value {
        sqlx::query_scalar(sql)
            .bind(id)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// A number from the database.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    /// Everything in the table that a sync writes, as one text: equal texts are equal tables.
    pub async fn table(&self) -> String {
        sqlx::query_scalar(
            "select coalesce(string_agg(to_jsonb(t)::text, E'\\n' order by serial_number), '') from tarana_base_stations t",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// Holds the table against every writer, until the connection is dropped.
    pub async fn hold_table(&self) -> PgConnection {
        let mut holder = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql("begin; lock table tarana_base_stations in share row exclusive mode")
            .execute(&mut holder)
            .await
            .unwrap();
        holder
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
        let mut lines = vec![format!("--- world {} ---", self.namespace)];
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

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let diagnosis = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current()
                    .block_on(async { tokio::time::timeout(Duration::from_secs(10), self.diagnose()).await })
            });
            eprintln!(
                "{}",
                diagnosis.unwrap_or_else(|_| "no diagnosis within 10 s".to_owned())
            );
        }
    }
}

/// Asks again until there is an answer. Fails after a while, saying what was waited for.
pub async fn until<T, F, Fut>(what: &str, ask: F) -> T
where
    F: Fn() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let Ok(answer) = tokio::time::timeout(PATIENCE, asking).await else {
        panic!("waited {PATIENCE:?} in vain until {what}");
    };
    answer
}

/// The run's id, in SQL as in Kubernetes.
pub fn id_of(sync: &TaranaSync) -> Uuid {
    sync.uid().unwrap().parse().unwrap()
}

pub fn phase(sync: &TaranaSync) -> Phase {
    sync.status.as_ref().map(|s| s.phase).unwrap_or_default()
}

pub fn step(sync: &TaranaSync) -> Option<Step> {
    sync.status.as_ref()?.step
}

/// Status, reason and message of a condition.
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

/// The condition of a run.
pub fn of(sync: &TaranaSync, type_: &str) -> (String, String, String) {
    condition(&sync.status.clone().unwrap_or_default().conditions, type_)
}
