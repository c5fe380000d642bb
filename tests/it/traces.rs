//! Traces of runs, at a collector that speaks OTLP, and the log lines beside them.

use std::collections::{BTreeMap, BTreeSet};

use devenv::simulator::{Endpoint, Fault, Rule};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AttributeValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tarana_operator::api::sync::{Phase, Step};
use uuid::Uuid;

use super::delivery::receiver::{Answer, Receiver};
use super::environment::{TestEnvironment, phase, step, wait_until};
use super::operator_process::OperatorProcess;
use super::servers;

/// A token in the URL of the collector, which no log line may show.
const TOKEN: &str = "do-not-show";

/// Spans that are not accepted within `timeout` milliseconds are lost.
async fn start(env: &TestEnvironment, name: &str, collector: &Receiver, timeout: &str) -> OperatorProcess {
    let kubeconfig = servers::plane().await.kubeconfig();
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("TARANA_LOG_FORMAT", "json"),
    ];
    OperatorProcess::start_as(env, name, kubeconfig, &variables)
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(AttributeValue::StringValue(text)) => text.clone(),
        Some(AttributeValue::IntValue(number)) => number.to_string(),
        Some(AttributeValue::BoolValue(boolean)) => boolean.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let attributes = attributes.iter();
    attributes
        .map(|a| (a.key.as_str(), text(a.value.as_ref())))
        .collect()
}

/// The spans that a collector has received, and the attributes of their resources.
struct Trace {
    spans: Vec<Span>,
    resources: BTreeSet<BTreeMap<String, String>>,
}

impl Trace {
    fn of(collector: &Receiver) -> Self {
        let mut trace = Self {
            spans: Vec::new(),
            resources: BTreeSet::new(),
        };
        for request in collector.received() {
            assert!(!String::from_utf8_lossy(&request.body).contains(servers::PASSWORD));
            let request = ExportTraceServiceRequest::decode(request.body).unwrap();
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap();
                let resource = attributes(&resource.attributes).into_iter();
                trace
                    .resources
                    .insert(resource.map(|(k, v)| (k.to_owned(), v)).collect());
                let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                trace.spans.extend(spans);
            }
        }
        trace
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    fn children(&self, parent: &Span) -> Vec<&Span> {
        let is_child = |span: &&Span| span.parent_span_id == parent.span_id;
        self.spans.iter().filter(is_child).collect()
    }

    fn child_names(&self, parent: &Span) -> BTreeSet<&str> {
        self.children(parent)
            .into_iter()
            .map(|span| span.name.as_str())
            .collect()
    }
}

/// A run whose first attempt fails, whose second is interrupted by a restart, and which then completes.
async fn run_with_retry_and_restart(env: &TestEnvironment, collector: &Receiver) -> (String, String) {
    let mut first = start(env, "first", collector, "60000").await;
    env.create_secrets_and_connection().await;
    env.ready().await;
    let failing = Rule::on(
        Endpoint::Search,
        Fault::Status {
            status: 500,
            body: None,
        },
    )
    .region(1073)
    .offset(0)
    .times(4);
    // As often as an attempt sends a request.
    env.tcs.set_rules(vec![failing]);
    env.sync("traced", json!({"backoff": {"initialSeconds": 1}}))
        .await;
    env.wait_for_sync("traced", "waits for attempt 2", |sync| {
        sync.status
            .as_ref()
            .is_some_and(|s| s.next_attempt_time.is_some())
    })
    .await;
    env.tcs.set_rules(vec![Rule::on(
        Endpoint::Search,
        Fault::Hang { after_bytes: None },
    )]);
    env.wait_for_sync("traced", "reads again", |sync| {
        step(sync) == Some(Step::Fetch) && sync.status.as_ref().is_some_and(|s| s.attempt == 2)
    })
    .await;
    wait_until("requests hang", || async {
        (env.tcs.hanging_calls() > 0).then_some(())
    })
    .await;
    assert!(first.terminate().await, "{}", first.log_text());
    env.tcs.clear_rules();
    env.tcs.release_hanging();
    let mut second = start(env, "second", collector, "60000").await;
    let run = env.finished("traced").await;
    assert_eq!(phase(&run), Phase::Completed);
    assert!(second.terminate().await, "{}", second.log_text());
    (first.log_text(), second.log_text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_trace_across_attempts_and_restarts() {
    let (env, collector) = (
        TestEnvironment::bare(servers::tcs()).await,
        Receiver::start().await,
    );
    let logs = run_with_retry_and_restart(&env, &collector).await;
    let run = env.syncs().get("traced").await.unwrap();
    let id = run.metadata.uid.as_ref().unwrap().replace('-', "");
    let trace = Trace::of(&collector);
    assert_tree(&env, &trace, &id);
    assert_steps(&trace);
    let resources: Vec<_> = trace.resources.iter().collect();
    let instances: BTreeSet<_> = resources
        .iter()
        .map(|r| r["service.instance.id"].as_str())
        .collect();
    assert_eq!(instances, BTreeSet::from(["first", "second"]));
    for resource in resources {
        assert_eq!(resource["service.name"], "tarana-operator");
        assert_eq!(resource["deployment.environment.name"], "test");
    }
    assert_log_lines(&env, &logs, &id);
}

/// Everything belongs to one trace, whose id is the uid of the run and of its log row, and hangs together.
fn assert_tree(env: &TestEnvironment, trace: &Trace, id: &str) {
    let ids: BTreeSet<_> = trace
        .spans
        .iter()
        .map(|span| Uuid::from_slice(&span.trace_id).unwrap().simple().to_string())
        .collect();
    assert_eq!(ids, BTreeSet::from([id.to_owned()]));
    let span_ids: BTreeSet<_> = trace.spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(span_ids.len(), trace.spans.len(), "no span is exported twice");
    let is_root = |span: &&Span| !span_ids.contains(&span.parent_span_id);
    let roots: Vec<_> = trace.spans.iter().filter(is_root).collect();
    let names: Vec<_> = trace.spans.iter().map(|span| &span.name).collect();
    assert_eq!(
        roots.len(),
        1,
        "{:?} of {names:?}",
        roots.iter().map(|span| &span.name).collect::<Vec<_>>()
    );
    let root = roots[0];
    assert_eq!((root.name.as_str(), root.parent_span_id.len()), ("TaranaSync", 0));
    let known = attributes(&root.attributes);
    for (name, value) in [
        ("namespace", env.namespace.as_str()),
        ("sync", "traced"),
        ("connection", "default"),
        ("trigger", "Manual"),
        ("outcome", "Completed"),
        ("reason", "Completed"),
    ] {
        assert_eq!(known[name], value);
    }
    assert!(known["fetched"].parse::<u32>().unwrap() > 0, "{known:?}");
    let names = trace.child_names(root);
    assert!(
        names.is_superset(&BTreeSet::from(["attempt 1", "attempt 2", "wait"])),
        "{names:?}"
    );
    for span in &trace.spans {
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    }
}

fn assert_steps(trace: &Trace) {
    let [first] = trace.named("attempt 1")[..] else {
        panic!("one first attempt")
    };
    let [second] = trace.named("attempt 2")[..] else {
        panic!("one second attempt")
    };
    assert_eq!(trace.child_names(first), BTreeSet::from(["Open", "Fetch"]));
    assert_eq!(
        trace.child_names(second),
        BTreeSet::from(["Open", "Fetch", "Apply", "wait"])
    );
    let fetches = trace.named("Fetch");
    assert_eq!(fetches.len(), 3, "attempt 1, attempt 2, and its continuation");
    let search = "POST /api/nqs/v1/regions/devices/search";
    for fetch in fetches {
        assert!(trace.child_names(fetch).contains(search), "{fetch:?}");
    }
    let requests: Vec<_> = trace
        .named(search)
        .into_iter()
        .map(|r| attributes(&r.attributes))
        .collect();
    let failed = |request: &&BTreeMap<&str, String>| request.contains_key("error.type");
    let failed: Vec<_> = requests.iter().filter(failed).collect();
    assert_eq!(failed.len(), 4, "each send is a request: {requests:?}");
    for request in failed {
        assert_eq!(request["http.response.status_code"], "500");
        assert_eq!(request["error.type"], "ApiUnavailable");
    }
    let [apply] = trace.named("Apply")[..] else {
        panic!("one Apply")
    };
    assert_eq!(
        trace.child_names(apply),
        BTreeSet::from(["lock", "read rows", "write"])
    );
    let causes = trace
        .named("wait")
        .into_iter()
        .map(|wait| attributes(&wait.attributes));
    let causes: BTreeSet<_> = causes.map(|wait| wait["cause"].clone()).collect();
    for cause in ["backoff", "interruption"] {
        assert!(causes.contains(cause), "{causes:?}");
    }
}

/// Each line of the run names it in the same fields, and its fault is logged once.
fn assert_log_lines(env: &TestEnvironment, (first, second): &(String, String), id: &str) {
    let lines = |log: &str| -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        log.lines().map(parse).collect()
    };
    let of_run: Vec<Value> = lines(first)
        .into_iter()
        .chain(lines(second))
        .filter(|line| line["trace_id"] == id)
        .collect();
    for line in &of_run {
        assert_eq!(
            (&line["namespace"], &line["sync"], &line["connection"]),
            (&json!(env.namespace), &json!("traced"), &json!("default")),
            "{line}"
        );
    }
    let with = |message: &str| {
        let is_it = |line: &&Value| line["message"].as_str().unwrap().starts_with(message);
        of_run.iter().filter(is_it).collect::<Vec<_>>()
    };
    assert_eq!(with("attempt started").len(), 3);
    assert_eq!(with("run ended").len(), 1);
    let requests = with("request to TCS failed");
    assert_eq!(requests.len(), 4, "{of_run:#?}");
    for request in requests {
        assert_eq!(
            (&request["attempt"], &request["step"]),
            (&json!(1), &json!("Fetch"))
        );
    }
    let [failed] = with("attempt failed")[..] else {
        panic!("{of_run:#?}")
    };
    let fault = failed["fault"].as_str().unwrap();
    assert_eq!(first.matches(fault).count(), 1, "the fault is logged once");
    assert!(!first.contains(TOKEN) && !second.contains(TOKEN));
}

/// A collector that answers nothing delays neither the run nor the end of the process, and its failure is logged without its URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_delays_nothing() {
    let (env, collector) = (
        TestEnvironment::bare(servers::tcs()).await,
        Receiver::start().await,
    );
    collector.answer(&[Answer::Silence; 100]);
    let mut operator = start(&env, "unheard", &collector, "1000").await;
    env.create_secrets_and_connection().await;
    assert_eq!(phase(&env.run("first", json!({})).await), Phase::Completed);
    operator.wait_for_log("opentelemetry", 1).await;
    assert!(operator.terminate().await, "{}", operator.log_text());
    assert!(!operator.log_text().contains(TOKEN), "{}", operator.log_text());
}
