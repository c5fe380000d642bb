//! Metrics and probes of a real process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use devenv::simulator::{Endpoint, Fault, Rule};
use serde_json::json;
use tarana_operator::api::sync::Phase;
use tarana_operator::metrics::names::{ALL, Kind, Metric};
use tokio::time::timeout;

use super::environment::{PATIENCE, TestEnvironment, phase, wait_until};
use super::operator_process::OperatorProcess;
use super::{schedules, servers};

/// One line of an exposition.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Parses `name{label="value",…} 1.5`. No value of a test contains a comma or a quote.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let pairs = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (label, value) = pair.split_once('=').unwrap();
            (label.to_owned(), value.trim_matches('"').to_owned())
        };
        Self {
            name: name.to_owned(),
            labels: pairs.map(pair).collect(),
            value: value.parse().unwrap(),
        }
    }
}

/// Labels of a series.
type Labels<'a> = &'a [(&'a str, &'a str)];
/// The name of a sample, its labels and its value.
type Expected<'a> = (&'a str, Labels<'a>, f64);

/// The metrics of an operator.
struct Scraper {
    url: String,
    http: reqwest::Client,
}

impl Scraper {
    async fn get(&self, path: &str, accept: &str) -> (u16, String, String) {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .header("accept", accept);
        let response = request.send().await.unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (
            response.status().as_u16(),
            content_type,
            response.text().await.unwrap(),
        )
    }

    async fn samples(&self) -> Vec<Sample> {
        let (status, content_type, text) = self.get("/metrics", "text/plain").await;
        assert_eq!(
            (status, content_type.as_str()),
            (200, "text/plain; version=0.0.4; charset=utf-8")
        );
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(Sample::parse).collect()
    }

    /// The sum of the samples of that name with these labels; `None` without any.
    async fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.samples().await;
        let has = |sample: &&Sample| {
            let mut labels = labels.iter();
            sample.name == name
                && labels.all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
        };
        let values: Vec<_> = samples.iter().filter(has).map(|sample| sample.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}

/// The metric that a sample belongs to. Fails if it is not listed, or has other labels.
fn metric_of(sample: &Sample) -> &'static Metric {
    let metric = ALL
        .iter()
        .find(|metric| metric.sample_names().contains(&sample.name));
    let metric = metric.unwrap_or_else(|| panic!("{} is not listed in src/metrics/names.rs", sample.name));
    let mut expected: BTreeSet<_> = metric.labels.iter().copied().collect();
    if metric.kind == Kind::Histogram && sample.name.ends_with("_bucket") {
        expected.insert("le");
    }
    let labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
    assert_eq!(labels, expected, "labels of {}", sample.name);
    metric
}

async fn start(env: &TestEnvironment) -> (OperatorProcess, Scraper) {
    let address = servers::free_address().to_string();
    let variables = [("TARANA_METRICS_LISTEN", address.as_str())];
    let operator = OperatorProcess::start_with(env, "measured", &variables);
    let url = format!("http://{address}");
    servers::wait_until_ready(&url).await;
    let http = reqwest::Client::new();
    (operator, Scraper { url, http })
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_show_runs_connections_and_requests_and_end_with_their_objects() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let (_operator, scraper) = start(&env).await;
    env.create_secrets_and_connection().await;
    schedules::create(&env, "weekdays", json!({"schedule": "0 6 * * 1-5"})).await;
    let run = env.run("first", json!({})).await;
    assert_eq!(phase(&run), Phase::Completed);
    let counts = run.status.unwrap().counts.unwrap();
    let rows = env.number("select count(*) from tarana_base_stations").await;
    let connection = [("namespace", env.namespace.as_str()), ("connection", "default")];
    wait_until("the table is counted", || async {
        let stations = scraper.value("tarana_connection_stations", &connection).await;
        (stations == Some(number(rows))).then_some(())
    })
    .await;
    assert_counted(&scraper, &connection, counts.fetched).await;
    assert_series_end_with_the_connection(&env, &scraper).await;
}

async fn assert_counted(scraper: &Scraper, connection: Labels<'_>, fetched: i64) {
    let ours: &[Expected<'_>] = &[
        (
            "tarana_sync_runs_total",
            &[("trigger", "Manual"), ("outcome", "Completed")],
            1.0,
        ),
        (
            "tarana_sync_records_total",
            &[("result", "fetched")],
            number(fetched),
        ),
        ("tarana_syncs", &[("phase", "Completed")], 1.0),
        ("tarana_connection_ready", &[("reason", "Verified")], 1.0),
        ("tarana_connection_withheld_deletes", &[], 0.0),
        // From Friday to Monday.
        (
            "tarana_schedule_interval_seconds",
            &[("schedule", "weekdays")],
            3.0 * 86400.0,
        ),
    ];
    for (name, labels, expected) in ours {
        let labels = [connection, *labels].concat();
        assert_eq!(scraper.value(name, &labels).await, Some(*expected), "{name}");
    }
    let at_least: &[Expected<'_>] = &[
        ("tarana_leader", &[], 1.0),
        (
            "tarana_vendor_requests_total",
            &[("class", "login"), ("outcome", "ok")],
            1.0,
        ),
        (
            "tarana_kubernetes_requests_total",
            &[
                ("verb", "update"),
                ("resource", "taranasyncs/status"),
                ("status", "200"),
            ],
            2.0,
        ),
        (
            "tarana_database_transaction_duration_seconds_count",
            &[("outcome", "committed")],
            3.0,
        ),
    ];
    for (name, labels, least) in at_least {
        let value = scraper.value(name, labels).await;
        assert!(value >= Some(*least), "{name} is {value:?}");
    }
}

async fn assert_series_end_with_the_connection(env: &TestEnvironment, scraper: &Scraper) {
    env.connections()
        .delete("default", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    wait_until("the series of the connection end", || async {
        let left = scraper.samples().await;
        let has_it = |sample: &Sample| {
            let of_schedule = sample.labels.contains_key("schedule") || sample.name == "tarana_syncs";
            !of_schedule
                && sample
                    .labels
                    .get("connection")
                    .is_some_and(|name| name == "default")
        };
        (!left.iter().any(has_it)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listed_metric_is_exposed_and_no_other() {
    let env = TestEnvironment::bare(servers::tcs()).await;
    let (_operator, scraper) = start(&env).await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    schedules::create_due(&env, "monthly", json!({})).await;
    assert_eq!(phase(&env.run("whole", json!({})).await), Phase::Completed);
    wait_until("the run of the schedule has completed too", || async {
        let completed = scraper.value("tarana_syncs", &[("phase", "Completed")]).await;
        (completed == Some(2.0)).then_some(())
    })
    .await;
    // Longer than the timeout of a request, so that the attempt fails at once.
    let (seconds, as_date) = (60, false);
    let throttle = Rule::on(Endpoint::Search, Fault::Throttle { seconds, as_date });
    env.tcs.set_rules(vec![throttle]);
    let refused = env.run("refused", json!({"backoffLimit": 0})).await;
    assert_eq!(phase(&refused), Phase::Failed);
    env.sync("waiting", json!({})).await;
    // They need a watch that fails (see `watch_failures.rs`), rows that are old, and a sink (see `delivery.rs`).
    let elsewhere = [
        "tarana_watch_errors",
        "tarana_database_expired_rows",
        "tarana_event_deliveries",
        "tarana_outbox_events",
        "tarana_outbox_oldest_event_age_seconds",
    ];
    let missing = Mutex::new(ALL.iter().map(|metric| metric.name).collect::<BTreeSet<_>>());
    let exposed = wait_until("all metrics are exposed", || async {
        let samples = scraper.samples().await;
        let mut missing = missing.lock().unwrap();
        for sample in &samples {
            missing.remove(metric_of(sample).name);
        }
        missing.iter().all(|name| elsewhere.contains(name)).then_some(())
    });
    let result = timeout(PATIENCE / 2, exposed).await;
    assert!(result.is_ok(), "not exposed: {missing:?}");
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let (status, content_type, text) = scraper.get("/metrics", prometheus).await;
    assert_eq!(status, 200);
    assert!(
        content_type.starts_with("application/openmetrics-text"),
        "{content_type}"
    );
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(scraper.get("/healthz", "*/*").await.2, "ok\n");
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn number(n: i64) -> f64 {
    n as f64
}
