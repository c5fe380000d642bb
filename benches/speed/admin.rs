//! The admin API: many open streams beside many requests for the status, and the end of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devenv::Postgres;
use devenv::simulator::{Config, Simulator};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Result;
use crate::report::{self, Report};
use crate::servers::Servers;
use crate::shutdown;
use crate::whole::megabytes;

const READERS: usize = 1000;
/// Readers while the process ends.
const READERS_AT_SHUTDOWN: usize = 50;
/// Readers that connect at the same time.
const CONNECTING: usize = 50;
const REQUESTS_PER_SECOND: u64 = 200;
const DURATION: Duration = Duration::from_mins(1);
const MAX_P99_MS: f64 = 50.0;

/// Measures on an operator with a connection and a few runs.
pub async fn measure(postgres: &Postgres, report: &mut Report) -> Result<()> {
    let address = format!("127.0.0.1:{}", devenv::free_port()?);
    let variables = [
        ("TARANA_ADMIN_LISTEN", address.as_str()),
        ("TARANA_ADMIN_NAMESPACE", "default"),
        ("TARANA_ADMIN_CONNECTION", "admin"),
        ("TARANA_LEADER_ELECT", "true"),
    ];
    let servers = Servers::start_with(postgres, &variables, async |_| Ok(())).await?;
    report::section(&format!(
        "{READERS} streams, {REQUESTS_PER_SECOND} status requests a second"
    ));
    let tcs = Simulator::start(Config::default()).await?;
    servers.connect("admin", &tcs, 100).await?;
    for n in 0..5 {
        servers
            .run("admin", &format!("admin-{n}"), json!({}))
            .await?
            .seconds()?;
    }
    let token = servers.user_token("ann").await?;
    let client = Client {
        http: reqwest::Client::new(),
        url: format!("http://{address}"),
        token,
    };
    let requests = servers.requests()?;
    client.trigger().await?;
    let per_trigger = f64::from(u32::try_from(servers.requests()? - requests)?);
    report::figure(
        "API server requests of a first trigger, before its response",
        per_trigger,
    );

    let errors = Arc::new(AtomicUsize::new(0));
    let readers = client.open_streams(READERS, &errors).await?;
    let opened = megabytes(servers.operator.peak_memory()?);
    let mut latencies = client.request_status(&errors).await;
    drop(readers);
    latencies.sort_by(f64::total_cmp);
    let quantile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
    let failed = f64::from(u32::try_from(errors.load(Ordering::Relaxed))?);
    report.limit("failed requests and ended streams", (failed, 0.0), 0, "");
    report::figure(
        "median of a status request",
        format!("{:.1} ms", quantile(50).unwrap_or(f64::NAN)),
    );
    let p99 = quantile(99).unwrap_or(f64::NAN);
    report.limit("p99 of a status request", (p99, MAX_P99_MS), 1, " ms");
    report::figure("peak memory once the streams are open", format!("{opened:.0} MB"));
    let streams = client.open_streams(READERS_AT_SHUTDOWN, &errors).await?;
    shutdown::measure(&servers, streams.len(), report).await
}

/// A caller of the API.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn trigger(&self) -> Result<()> {
        let request = self.http.post(format!("{}/api/admin/tarana/sync", self.url));
        let response = request.bearer_auth(&self.token).send().await?;
        response.error_for_status()?;
        Ok(())
    }

    /// Opens the streams and waits for the snapshot of each. They are read until the set is dropped.
    async fn open_streams(&self, readers: usize, errors: &Arc<AtomicUsize>) -> Result<JoinSet<()>> {
        let (mut open, mut opened) = (JoinSet::new(), 0);
        while opened < readers {
            let mut connecting = JoinSet::new();
            for _ in 0..CONNECTING {
                let client = self.clone();
                connecting
                    .spawn(async move { client.open_stream().await.map_err(|error| error.to_string()) });
            }
            while let Some(response) = connecting.join_next().await {
                let (mut response, errors) = (response??, Arc::clone(errors));
                open.spawn(async move {
                    while let Ok(Some(_)) = response.chunk().await {}
                    errors.fetch_add(1, Ordering::Relaxed);
                });
                opened += 1;
            }
        }
        Ok(open)
    }

    async fn open_stream(&self) -> Result<reqwest::Response> {
        let url = format!("{}/api/v1/events?namespace=default", self.url);
        let response = self.http.get(url).bearer_auth(&self.token).send().await?;
        let mut response = response.error_for_status()?;
        response.chunk().await?.ok_or("the stream has no snapshot")?;
        Ok(response)
    }

    /// Sends requests at a fixed rate. Returns the milliseconds of each.
    async fn request_status(&self, errors: &Arc<AtomicUsize>) -> Vec<f64> {
        let mut tick = interval(Duration::from_micros(1_000_000 / REQUESTS_PER_SECOND));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (begin, mut requests) = (Instant::now(), JoinSet::new());
        while begin.elapsed() < DURATION {
            // A request that is sent late counts from when it was due.
            let due = tick.tick().await.into_std();
            let (client, errors) = (self.clone(), Arc::clone(errors));
            requests.spawn(async move {
                if client.status().await.is_err() {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
                due.elapsed().as_secs_f64() * 1000.0
            });
        }
        requests.join_all().await
    }

    async fn status(&self) -> Result<()> {
        let url = format!("{}/api/admin/tarana/sync/status", self.url);
        let response = self.http.get(url).bearer_auth(&self.token).send().await?;
        response.error_for_status()?.bytes().await?;
        Ok(())
    }
}
