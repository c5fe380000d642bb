//! The operator as a whole: how fast it fetches, how fast a run is, how much memory it takes.
//!
//! `make bench`. The operator is a process of its own (release build) under a service account; control plane and PostgreSQL are
//! real, TCS is the simulator. Each figure is told beside the one that it must not pass.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devenv::simulator::{self, Endpoint, Simulator};
use devenv::{ControlPlane, Operator, Postgres, Settings, tools};
use serde_json::{Value, json};
use tarana_operator::tarana;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Pages of ten with this much latency, so many at once: what a slow portal gives.
const LATENCY: Duration = Duration::from_millis(50);
const IN_FLIGHT: u32 = 4;
/// Runs of which the median counts.
const RUNS: usize = 9;
const MANY: usize = 100_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    machine();
    println!("{:<58} {:>10} {:>10}", "what", "measured", "at most");
    fetch().await?;
    let stage = Stage::set().await?;
    stage.speed().await?;
    stage.memory().await
}

/// Prints what it ran on.
fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or(": unknown");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "machine: {} × {cores}, {} GiB",
        model.trim_start_matches([' ', '\t', ':']),
        kib >> 20
    );
}

fn line(what: &str, measured: &str, most: &str) {
    println!("{what:<58} {measured:>10} {most:>10}");
}

/// Fetch against what pages, latency and requests in flight allow.
async fn fetch() -> Outcome<()> {
    let config = simulator::Config {
        latency: LATENCY,
        ..simulator::Config::of(718)
    };
    let tcs = Simulator::start(config).await?;
    let client = tarana::Client::new(tarana::Config {
        base_url: tcs.url().to_owned(),
        username: tcs.config().username.clone(),
        password: tcs.config().password.clone().into(),
        ca_pem: None,
        operator_id: None,
        include_region_ids: Vec::new(),
        exclude_region_ids: Vec::new(),
        page_size: 10,
        request_timeout: Duration::from_secs(30),
        requests_per_second: 1000,
        max_in_flight: IN_FLIGHT,
        listing: Some(tarana_operator::station::Listing::RegionSearch),
        count_connections: false,
    })?;
    client.verify().await?;
    client.fetch(&|_, _| {}).await?;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let before = tcs.counters().of(Endpoint::Search);
        let begin = Instant::now();
        let fetched = client.fetch(&|_, _| {}).await?;
        let took = begin.elapsed();
        let pages = u32::try_from(tcs.counters().of(Endpoint::Search) - before)?;
        if fetched.len() != 718 {
            return Err(format!("{} devices", fetched.len()).into());
        }
        best = best.min(took.as_secs_f64() / (LATENCY * pages / IN_FLIGHT).as_secs_f64());
    }
    line(
        "fetch of 718 devices / (pages × 50 ms / 4)",
        &format!("{best:.3}"),
        "1.10",
    );
    Ok(())
}

/// The servers and the operator.
struct Stage {
    plane: ControlPlane,
    postgres: Postgres,
    operator: Operator,
}

impl Stage {
    async fn set() -> Outcome<Self> {
        let durable = Settings {
            durable: true,
            extra: Vec::new(),
        };
        let (plane, postgres, helm) = tokio::try_join!(
            ControlPlane::start(),
            Postgres::start_with(&durable),
            tools::helm()
        )?;
        let kubectl = plane.kubectl();
        let root = env!("CARGO_MANIFEST_DIR");
        kubectl
            .run(&["apply", "--server-side", "-f", &format!("{root}/crds")])
            .await?;
        kubectl
            .run(&[
                "wait",
                "--for=condition=Established",
                "-f",
                &format!("{root}/crds"),
            ])
            .await?;
        kubectl.run(&["create", "namespace", devenv::NAMESPACE]).await?;
        kubectl.apply(&rights(&helm)?).await?;
        let program = program()?;
        let log = program.with_file_name("bench-operator.log");
        let operator = Operator::start(&program, &plane, &log, &[("TARANA_LEADER_ELECT", "false")]).await?;
        Ok(Self {
            plane,
            postgres,
            operator,
        })
    }

    /// Object created → Completed, without latency.
    async fn speed(&self) -> Outcome<()> {
        let tcs = Simulator::start(simulator::Config::default()).await?;
        let mut times = Vec::new();
        self.connect("small", &tcs).await?;
        for n in 0..RUNS {
            times.push(self.run("small", &format!("small-{n}")).await?);
            tcs.drift(0.02);
        }
        times.sort();
        let median = times[RUNS / 2];
        line(
            "object created → Completed, 718 devices (median of 9)",
            &format!("{} ms", median.as_millis()),
            "500 ms",
        );
        Ok(())
    }

    /// The most memory that the process ever took, over a first run and one that changes little.
    async fn memory(&self) -> Outcome<()> {
        let fleet = simulator::FleetConfig {
            remote_nodes: 0,
            ..simulator::Config::of(MANY).fleet
        };
        let tcs = Simulator::start(simulator::Config {
            fleet,
            ..simulator::Config::of(MANY)
        })
        .await?;
        self.connect("large", &tcs).await?;
        let first = self.run("large", "large-new").await?;
        line(
            "100,000 devices, all new: object created → Completed",
            &format!("{:.1} s", first.as_secs_f64()),
            "–",
        );
        tcs.drift(0.01);
        let second = self.run("large", "large-drift").await?;
        line(
            "100,000 devices, 1 % changed",
            &format!("{:.1} s", second.as_secs_f64()),
            "–",
        );
        let peak = self.operator.peak_memory()?;
        line(
            "operator's memory at its highest",
            &format!("{} MB", peak / 1_000_000),
            "150 MB",
        );
        Ok(())
    }

    async fn connect(&self, name: &str, tcs: &Simulator) -> Outcome<()> {
        let database = self.postgres.create_database(name).await?;
        let config = tcs.config();
        let items = json!([
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
             "stringData": {"username": config.username, "password": config.password, "url": database}},
            {"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaConnection", "metadata": {"name": name, "namespace": "default"},
             "spec": {"api": {"url": tcs.url(), "requestsPerSecond": 1000, "credentialsSecretRef": {"name": name}},
                      "database": {"secretRef": {"name": name}}}},
        ]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let kubectl = self.plane.kubectl();
        kubectl.apply(&list.to_string()).await?;
        kubectl
            .run(&[
                "wait",
                &format!("tconn/{name}"),
                "--for=condition=Ready",
                "--timeout=60s",
            ])
            .await?;
        Ok(())
    }

    /// One run, timed by a watch.
    async fn run(&self, connection: &str, name: &str) -> Outcome<Duration> {
        let client = self.client().await?;
        let api: kube::Api<tarana_operator::api::sync::TaranaSync> = kube::Api::namespaced(client, "default");
        let object: Value = json!({"apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync", "metadata": {"name": name},
            "spec": {"connectionRef": {"name": connection}}});
        let begin = Instant::now();
        api.create(
            &kube::api::PostParams::default(),
            &serde_json::from_value(object)?,
        )
        .await?;
        let ended = |s: Option<&tarana_operator::api::sync::TaranaSync>| {
            s.and_then(|s| s.status.as_ref())
                .is_some_and(|s| s.phase.is_final())
        };
        let end = kube::runtime::wait::await_condition(api, name, ended).await?;
        let took = begin.elapsed();
        let phase = end.and_then(|s| s.status).map(|s| s.phase);
        if phase != Some(tarana_operator::api::sync::Phase::Completed) {
            return Err(format!("{name} ended as {phase:?}: see {}", self.operator.log().display()).into());
        }
        Ok(took)
    }

    async fn client(&self) -> Outcome<kube::Client> {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.plane.kubeconfig())?;
        let options = kube::config::KubeConfigOptions::default();
        Ok(kube::Client::try_from(
            kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?,
        )?)
    }
}

/// The operator's rights, out of the chart.
fn rights(helm: &Path) -> Outcome<String> {
    let words: Vec<&str> = devenv::RIGHTS.split_whitespace().skip(1).collect();
    let rendered = std::process::Command::new(helm)
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !rendered.status.success() {
        return Err(String::from_utf8_lossy(&rendered.stderr).into());
    }
    Ok(String::from_utf8(rendered.stdout)?)
}

/// The release build of the operator, which `make bench` makes first: this bench stands in `deps/` beside it.
fn program() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join("tarana-operator"));
    program
        .filter(|p| p.is_file())
        .ok_or_else(|| "no release build of tarana-operator: use `make bench`".into())
}
