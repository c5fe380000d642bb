//! Connections with one database server, each with a schema of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use devenv::{Postgres, PostgresSettings, audit};
use futures::StreamExt as _;
use futures::stream;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, TaranaSync};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::environment::{TestEnvironment, condition, of, phase, wait_until};
use crate::servers;

/// Writes of one run: finalizer and status. A run that waits writes its status once or twice more.
const MAX_WRITES: usize = 12;
/// Requests to the API server at once.
const CONCURRENCY: usize = 20;

/// Connections `c-000`, `c-001`, …, each with a schema in one database.
pub struct Crowd {
    pub env: TestEnvironment,
    _server: Postgres,
    /// URL of the superuser in that database.
    pub admin_url: String,
    /// `host:port/database`.
    place: String,
    connections: usize,
}

pub fn name(number: usize) -> String {
    format!("c-{number:03}")
}

fn schema(number: usize) -> String {
    format!("c_{number:03}")
}

impl Crowd {
    /// With a server of this size and an operator with these limits, which is not started.
    pub async fn new(connections: usize, max_connections: u32, limits: (u32, u16)) -> Self {
        let server = Postgres::start_with(&PostgresSettings {
            extra: vec![("max_connections".into(), max_connections.to_string())],
            ..PostgresSettings::default()
        })
        .await
        .unwrap();
        let admin_url = server.create_database("crowd").await.unwrap();
        let mut env = TestEnvironment::bare(servers::tcs_with(20)).await;
        env.limits = limits;
        let mut admin = PgConnection::connect(&admin_url).await.unwrap();
        let mut script =
            "CREATE ROLE operator LOGIN PASSWORD 'o'; CREATE ROLE application LOGIN PASSWORD 'a';".to_owned();
        for number in 0..connections {
            write!(script, "CREATE SCHEMA {} AUTHORIZATION operator;", schema(number)).unwrap();
        }
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut admin)
            .await
            .unwrap();
        admin.close().await.unwrap();
        let place = admin_url.rsplit_once('@').unwrap().1.to_owned();
        env.secret("tcs", &servers::credentials()).await;
        env.secret(
            "database",
            &json!({"url": format!("postgres://operator:o@{place}")}),
        )
        .await;
        let created = (0..connections).map(|number| {
            let env = &env;
            async move {
                env.connection(&name(number), json!({"database": {"schema": schema(number)}}))
                    .await;
            }
        });
        stream::iter(created)
            .buffer_unordered(CONCURRENCY)
            .collect::<()>()
            .await;
        Self {
            env,
            _server: server,
            admin_url,
            place,
            connections,
        }
    }

    /// The URL of the application.
    pub fn application_url(&self) -> String {
        format!("postgres://application:a@{}", self.place)
    }

    fn numbers(&self, which: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        (0..self.connections).filter(move |n| which(*n))
    }

    fn names(&self, which: impl Fn(usize) -> bool) -> BTreeSet<String> {
        self.numbers(which).map(name).collect()
    }

    /// Lets these connections use a database server that does not answer.
    pub async fn move_to_database(&self, server: &SilentServer, which: impl Fn(usize) -> bool) {
        let url = format!("postgres://operator:o@{}/crowd", server.address);
        self.env.secret("dead", &json!({"url": url})).await;
        for number in self.numbers(which) {
            let spec = json!({"database": {"secretRef": {"name": "dead"}}});
            self.env.change_connection(&name(number), spec).await;
        }
    }

    /// Lets these connections use another vendor, with requests that may take as long as a test.
    pub async fn move_to_vendor(&self, url: &str, which: impl Fn(usize) -> bool) {
        for number in self.numbers(which) {
            let spec = json!({"api": {"url": url, "requestTimeoutSeconds": 300}});
            self.env.change_connection(&name(number), spec).await;
        }
    }

    async fn list_connections(&self) -> Vec<TaranaConnection> {
        let params = ListParams::default();
        self.env.connections().list(&params).await.unwrap().items
    }

    async fn runs(&self) -> Vec<TaranaSync> {
        self.env.syncs().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn count(&self, which: impl Fn(&TaranaSync) -> bool) -> usize {
        self.runs().await.iter().filter(|run| which(run)).count()
    }

    pub async fn wait_until_ready(&self, which: impl Fn(usize) -> bool) {
        self.wait_for_connections(self.names(which), ("True", None)).await;
    }

    /// Waits until these connections are not ready for this reason.
    pub async fn wait_for_reasons(&self, which: impl Fn(usize) -> bool, reason: &str) {
        self.wait_for_connections(self.names(which), ("False", Some(reason)))
            .await;
    }

    async fn wait_for_connections(&self, mut left: BTreeSet<String>, (ready, reason): (&str, Option<&str>)) {
        while !left.is_empty() {
            // Each time, at least one more: the whole takes longer than one wait may.
            let reached = wait_until(&format!("one of {left:?} has Ready={ready}"), || async {
                let has = |connection: &TaranaConnection| {
                    let conditions = connection.status.clone().unwrap_or_default().conditions;
                    let found = condition(&conditions, "Ready");
                    found.0 == ready && reason.is_none_or(|reason| found.1 == reason)
                };
                let all = self.list_connections().await;
                let reached = all.iter().filter(|c| left.contains(&c.name_any()) && has(c));
                let reached: Vec<_> = reached.map(kube::ResourceExt::name_any).collect();
                (!reached.is_empty()).then_some(reached)
            })
            .await;
            left.retain(|name| !reached.contains(name));
        }
    }

    /// Waits until the operator has closed all its sessions.
    pub async fn wait_until_no_session(&self) {
        let mut admin = PgConnection::connect(&self.admin_url).await.unwrap();
        let admin = tokio::sync::Mutex::new(&mut admin);
        wait_until("idle sessions are closed", || async {
            (count_sessions(&mut **admin.lock().await).await == 0).then_some(())
        })
        .await;
    }

    /// Creates a run on each of these connections.
    pub async fn create_runs(&self, which: impl Fn(usize) -> bool) {
        let created = self.numbers(which).map(|number| async move {
            let spec = json!({"connectionRef": {"name": name(number)}});
            self.env.sync(&name(number), spec).await;
        });
        stream::iter(created)
            .buffer_unordered(CONCURRENCY)
            .collect::<()>()
            .await;
    }

    /// Waits until so many runs wait for others to end. Returns what they say.
    pub async fn wait_for_limited(&self, expected: usize) -> BTreeSet<String> {
        wait_until(&format!("{expected} runs wait for a slot"), || async {
            let runs = self.runs().await;
            let limited = runs
                .iter()
                .filter(|run| of(run, "Reconciling").1 == "ConcurrencyLimited");
            let messages: Vec<_> = limited.map(|run| of(run, "Reconciling").2).collect();
            (messages.len() == expected).then(|| messages.into_iter().collect())
        })
        .await
    }

    pub async fn wait_until_completed(&self, which: impl Fn(usize) -> bool) {
        let mut left = self.names(which);
        while !left.is_empty() {
            let ended = wait_until(&format!("one of {left:?} has ended"), || async {
                let mut runs = self.runs().await;
                runs.retain(|run| left.contains(&run.name_any()) && phase(run).is_final());
                (!runs.is_empty()).then_some(runs)
            })
            .await;
            for run in ended {
                assert_eq!(phase(&run), Phase::Completed, "{:?}", run.status);
                left.remove(&run.name_any());
            }
        }
    }

    /// The number of writes of a run does not depend on how many wait.
    pub async fn assert_few_writes(&self) {
        let mut writes = BTreeMap::<String, usize>::new();
        for entry in audit::read(servers::plane().await.audit_log()).unwrap() {
            let object = &entry.object_ref;
            let is_run = object.namespace == self.env.namespace && object.resource == "taranasyncs";
            if is_run && entry.is_write() && entry.verb != "create" {
                *writes.entry(object.name.clone()).or_default() += 1;
            }
        }
        let most = writes.values().max().copied().unwrap_or_default();
        assert!((1..=MAX_WRITES).contains(&most), "{writes:?}");
    }
}

/// The sessions of the operator's role.
pub async fn count_sessions(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = 'operator'")
        .fetch_one(admin)
        .await
        .unwrap()
}

/// Accepts connections and never answers.
pub struct SilentServer {
    pub address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl SilentServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut accepted: Vec<TcpStream> = Vec::new();
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => accepted.push(stream),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Self {
            address,
            _accepting: accepting,
        }
    }
}
