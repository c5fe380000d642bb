//! Many connections with one vendor and one PostgreSQL, each with a schema of its own: the time until all are ready, the runs per minute, and
//! the memory of one process with its default limits.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use devenv::Postgres;
use devenv::simulator::{self, Simulator};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tarana_operator::api::connection::TaranaConnection;
use tarana_operator::api::sync::{Phase, TaranaSync};
use tokio::time::sleep;

use crate::Result;
use crate::report::{figure, section};
use crate::servers::{Servers, create_all};
use crate::whole::megabytes;

const CONNECTIONS: usize = 500;
/// Each connection has so many at once, one after the other.
const RUNS_PER_CONNECTION: usize = 2;
/// How long the idle operator is observed.
const IDLE: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_mins(20);

/// Measures with an operator and a cluster of its own.
pub async fn measure(postgres: &Postgres) -> Result<()> {
    let tcs = Simulator::start(simulator::Config::default()).await?;
    let database = postgres.create_database("many").await?;
    create_schemas(&database).await?;
    let (url, login) = (tcs.url(), tcs.config());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "many"},
        "stringData": {"username": login.username, "password": login.password, "url": database}});
    let connections: Vec<Value> = (0..CONNECTIONS).map(|n| connection(n, url)).collect();
    let servers = Servers::start_with(postgres, &[("TARANA_RESYNC_SECONDS", "300")], async |client| {
        create_all::<Secret>(&client, vec![secret]).await?;
        create_all::<TaranaConnection>(&client, connections).await?;
        Ok(())
    })
    .await?;
    section(&format!("{CONNECTIONS} connections, 718 devices each"));
    let client = servers.client().await?;
    let begin = Instant::now();
    wait_for::<TaranaConnection>(&client, CONNECTIONS, |c| {
        let conditions = c.status.as_ref().map(|s| s.conditions.as_slice());
        conditions
            .unwrap_or_default()
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True")
    })
    .await?;
    figure("all are ready", seconds(begin));
    measure_runs(&servers, &client, "new").await?;
    tcs.drift(0.02);
    measure_runs(&servers, &client, "drift").await?;
    let before = servers.writes()?;
    sleep(IDLE).await;
    figure("idle for a minute: memory", memory(servers.operator.memory()?));
    figure("… writes to the API server", servers.writes()? - before);
    Ok(())
}

/// Creates all runs at once.
async fn measure_runs(servers: &Servers<'_>, client: &Client, what: &str) -> Result<()> {
    let runs = CONNECTIONS * RUNS_PER_CONNECTION;
    let objects = (0..runs).map(|n| {
        json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": format!("{what}-{n}")},
            "spec": {"connectionRef": {"name": name(n % CONNECTIONS)}}})
    });
    let begin = Instant::now();
    create_all::<TaranaSync>(client, objects).await?;
    let prefix = format!("{what}-");
    wait_for::<TaranaSync>(client, runs, |run| {
        let is_of_these = run.metadata.name.as_ref().is_some_and(|n| n.starts_with(&prefix));
        let phase = run.status.as_ref().map(|s| s.phase);
        is_of_these && phase == Some(Phase::Completed)
    })
    .await?;
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    figure(
        &format!("{runs} runs at once, {what}: until the last is Completed"),
        seconds(begin),
    );
    let per_minute = f64::from(u32::try_from(runs)?) / minutes;
    figure("… runs per minute", format!("{per_minute:.0}"));
    figure("… peak memory so far", memory(servers.operator.peak_memory()?));
    Ok(())
}

fn name(n: usize) -> String {
    format!("many-{n:03}")
}

fn schema(n: usize) -> String {
    format!("many_{n:03}")
}

fn connection(n: usize, url: &str) -> Value {
    json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": name(n)},
        "spec": {"api": {"url": url, "requestsPerSecond": 1000, "credentialsSecretRef": {"name": "many"}},
                 "database": {"secretRef": {"name": "many"}, "schema": schema(n)}}})
}

async fn create_schemas(database: &str) -> Result<()> {
    let mut script = String::new();
    for n in 0..CONNECTIONS {
        write!(script, "create schema {};", schema(n))?;
    }
    let mut session = PgConnection::connect(database).await?;
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut session).await?;
    Ok(session.close().await?)
}

/// Waits until so many objects are as wanted.
async fn wait_for<K>(client: &Client, count: usize, is_so: impl Fn(&K) -> bool) -> Result<()>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), "default");
    let begin = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await?.items;
        let done = all.iter().filter(|object| is_so(object)).count();
        if done >= count {
            return Ok(());
        }
        if begin.elapsed() > TIMEOUT {
            let kind = K::kind(&());
            return Err(format!("only {done} of {count} {kind} objects came so far in time").into());
        }
        sleep(POLL_INTERVAL).await;
    }
}

fn seconds(begin: Instant) -> String {
    format!("{:.0} s", begin.elapsed().as_secs_f64())
}

fn memory(bytes: u64) -> String {
    format!("{:.0} MB", megabytes(bytes))
}
